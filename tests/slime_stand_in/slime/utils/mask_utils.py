"""Only so that the stand-in looks recent enough."""
# Qwen templates wrap consecutive tool responses in one user turn.
