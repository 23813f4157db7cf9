# One run of a sweep: the stages that it does not share with an earlier one.
include: "common.smk"


container: config["resources"]["container"]


if RUN.owns("user model"):

    include: "user.smk"


if RUN.owns("traces"):

    include: "traces.smk"


if RUN.owns("leaks"):

    include: "leaks.smk"


if RUN.owns("base"):

    include: "model.smk"


if RUN.owns("sft"):

    include: "sft.smk"


if RUN.owns("rejection"):

    include: "rejection.smk"


if RUN.owns("rl"):

    include: "grpo.smk"


include: "evaluate.smk"
