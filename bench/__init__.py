"""How fast is the lab, against what one would do without it? `make bench`; a benchmark, not a test.

    python -m bench [--only a d]        every question, or these, in turns (A B A B …), and the table

    a    training       check-train against the plain recipe of the protocol, and what each has learned
    b    environments   raw steps/s, against EnvPool and against the physics alone, by cores
    c    rebuild        a venv, with torch and over the same torch, against pip and the same lock, caches warm
    d    nothing to do  make help, venv and image when all is current
    e    rendering      ms/frame, by GL backend
    f    verify         make verify, warm, against the plain recipe's four steps in sequence
    g    fresh          from a bare clone, caches warm, to the first verdict and to verified

A question is a module; its `turn` takes one turn of measurements, all through docker/dev.sh, and returns the figures
by name. The driver needs nothing but the standard library; what runs in the lab imports the rest inside its functions.
Record: proof/bench.json, of the last run.
"""
