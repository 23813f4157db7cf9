"""The part of slime's rollout state that the hooks read; the tests fill it."""


class GenerateState:
    tokenizer = None
    aborted = False

    def __init__(self, args) -> None:
        pass
