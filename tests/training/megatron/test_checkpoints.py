"""Megatron checkpoints on disk: what is whole, what may go, what a kill leaves."""

import json
import random

import pytest

from tau2_agent.training.megatron import checkpoints as store


def iteration(folder, number, whole=True):
    inner = store.iteration_folder(folder, number)
    inner.mkdir(parents=True)
    (inner / "common.pt").touch()
    if whole:
        (inner / ".metadata").touch()
    return inner


def tracker(folder, text):
    (folder / store.TRACKER).write_text(str(text))


def huggingface(folder, names=("model-00001-of-00001.safetensors",)):
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("config.json", "tokenizer.json", *names):
        (folder / name).write_text(name)
    index = {"weight_map": {str(i): name for i, name in enumerate(names)}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def test_an_empty_folder_has_no_checkpoint(tmp_path):
    assert store.latest_iteration(tmp_path) is None
    assert store.recover(tmp_path) is None
    with pytest.raises(store.CheckpointError, match="no latest_checkpointed_iteration"):
        store.require_weights(tmp_path)


def test_an_inner_folder_is_refused_with_the_remedy(tmp_path):
    inner = iteration(tmp_path, 9)
    tracker(tmp_path, 9)
    store.require_weights(tmp_path)
    with pytest.raises(store.CheckpointError, match="not one of its iter_"):
        store.require_weights(inner)


def test_a_converted_model_has_weights_and_no_iteration(tmp_path):
    (tmp_path / "release").mkdir()
    (tmp_path / "release" / "common.pt").touch()
    (tmp_path / "release" / ".metadata").touch()
    tracker(tmp_path, "release")
    store.require_weights(tmp_path)
    with pytest.raises(store.CheckpointError, match="release"):
        store.latest_iteration(tmp_path)


@pytest.mark.parametrize("text", ["", "7", "1\x00"])
def test_a_damaged_tracker_is_mended(tmp_path, text, capsys):
    iteration(tmp_path, 1)
    iteration(tmp_path, 3)
    iteration(tmp_path, 5, whole=False)
    tracker(tmp_path, text)
    assert store.recover(tmp_path) == 3
    assert store.latest_iteration(tmp_path) == 3
    assert "iteration 3, is used" in capsys.readouterr().out


def test_a_tracker_with_nothing_behind_it_is_an_error(tmp_path):
    tracker(tmp_path, 4)
    with pytest.raises(store.CheckpointError):
        store.recover(tmp_path)


def test_prune_keeps_the_last_and_what_is_being_written(tmp_path):
    for number in range(6):
        iteration(tmp_path, number)
        huggingface(tmp_path / "hf" / str(number))
    tracker(tmp_path, 4)
    gone = store.prune(tmp_path, keep=2)
    left = sorted(path.name for path in tmp_path.glob("iter_*"))
    assert left == ["iter_0000003", "iter_0000004", "iter_0000005"]
    assert sorted(path.name for path in (tmp_path / "hf").iterdir()) == ["4", "5"]
    assert len(gone) == 7
    assert store.prune(tmp_path, keep=2) == []


def test_prune_never_deletes_the_only_one(tmp_path):
    iteration(tmp_path, 0)
    tracker(tmp_path, 0)
    assert store.prune(tmp_path, keep=0) == []


def test_prune_waits_while_the_tracker_is_written(tmp_path):
    iteration(tmp_path, 0)
    tracker(tmp_path, "")
    assert store.prune(tmp_path, keep=1) == []


@pytest.mark.parametrize("missing", ["config.json", "tokenizer.json", "b.safetensors"])
def test_a_model_with_a_missing_file_is_not_whole(tmp_path, missing):
    huggingface(tmp_path, ("a.safetensors", "b.safetensors"))
    assert store.is_huggingface_folder(tmp_path)
    (tmp_path / missing).unlink()
    assert not store.is_huggingface_folder(tmp_path)


def test_a_cut_index_is_not_whole(tmp_path):
    huggingface(tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text('{"weight')
    assert not store.is_huggingface_folder(tmp_path)


def test_lifting_replaces_the_former_model_and_leaves_the_stores_own_files(tmp_path):
    huggingface(tmp_path, ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"))
    tracker(tmp_path, 7)
    huggingface(tmp_path / "hf" / "7")
    (tmp_path / "hf" / "7" / store.TRACKER).write_text("of the former stage")
    store.lift_export(tmp_path, 7)
    assert store.lifted_iteration(tmp_path) == 7
    weights = sorted(path.name for path in tmp_path.glob("*.safetensors"))
    assert weights == ["model-00001-of-00001.safetensors"]
    assert store.latest_iteration.__name__ and (tmp_path / store.TRACKER).read_text() == "7"
    assert not (tmp_path / "hf").exists()


def test_an_export_that_is_not_whole_is_not_lifted(tmp_path):
    huggingface(tmp_path / "hf" / "7")
    (tmp_path / "hf" / "7" / "config.json").unlink()
    with pytest.raises(store.CheckpointError, match="no whole Hugging Face model"):
        store.lift_export(tmp_path, 7)
    assert store.lifted_iteration(tmp_path) is None


class SlimesDataSource:
    """How slime 624b824a8 walks through its prompts."""

    def __init__(self, prompts):
        self.prompts, self.offset, self.epoch = prompts, 0, 0

    def take(self, number):
        if self.offset + number <= self.prompts:
            self.offset += number
        else:
            number -= self.prompts - self.offset
            self.epoch += 1
            self.offset = number


def test_the_data_position_is_where_slime_would_stand(tmp_path):
    torch = pytest.importorskip("torch")
    chance = random.Random(0)
    for case in range(60):
        prompts = chance.randint(4, 80)
        batch = chance.randint(1, prompts)
        source, last = SlimesDataSource(prompts), chance.randint(0, 40)
        for _ in range(last + 1):
            source.take(batch)
        folder = tmp_path / str(case)
        options = {"prompts": prompts, "per_rollout": batch}
        assert store.restore_data_position(folder, last, **options)
        assert not store.restore_data_position(folder, last, **options)  # never overwritten
        path = folder / "rollout" / f"global_dataset_state_dict_{last}.pt"
        state = torch.load(path)
        assert (state["sample_offset"], state["epoch_id"]) == (source.offset, source.epoch)
        assert state["sample_index"] == state["sample_group_index"] == batch * (last + 1)
