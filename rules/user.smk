# The model that plays the user, if it is served beside the policy (user.serve) and not a local
# folder: downloaded once, at a pinned revision.
rule user_model:
    output:
        directory(FILES.user_model),
    log:
        "logs/user_model.log",
    cache: True
    localrule: True
    params:
        flags=stage_flags.user_model(config),
        code=made_by.code("base_model.py"),
        packages=PACKAGES,
    message:
        "The user simulator's model: {output}"
    shell:
        "python scripts/base_model.py --output {output} --only-served {params.flags}"
        " 2>&1 | tee {log}"
