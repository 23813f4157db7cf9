# Post-trains a tool-using agent on tau2-bench telecom: tasks, teacher traces, base model, SFT,
# GRPO, evaluation. config.yaml says what is done; rules/ say how, in the order of the data.
from snakemake.utils import min_version

min_version("9.0")


include: "rules/common.smk"


# Used with --sdm apptainer only.
container: config["resources"]["container"]


# Of `snakemake --report`: the page that it begins with.
report: "rules/captions/overview.rst"


rule all:
    input:
        "results/summary.csv",
        "results/model_card.md",
        "results/report.html",


include: "rules/tasks.smk"


if RUN.owns("user model"):

    include: "rules/user.smk"


include: "rules/traces.smk"
include: "rules/leaks.smk"
include: "rules/model.smk"
include: "rules/sft.smk"


if "rejection" in FILES.models:

    include: "rules/rejection.smk"


include: "rules/grpo.smk"
include: "rules/evaluate.smk"
include: "rules/summary.smk"
include: "rules/cards.smk"
include: "rules/report.smk"
include: "rules/preflight.smk"
include: "rules/runs.smk"


onstart:
    if STARTED.main:
        try:
            check_start(RUNS.values(), STARTED, invocation.executor(workflow))
        except PipelineError as error:
            raise WorkflowError(str(error)) from None
