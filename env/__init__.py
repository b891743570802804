"""What makes the environment: the gate (venv.sh), what it runs, and the locks of what is not in requirements.txt.

The files directly in this folder, requirements.txt and pyproject.toml are the venv's key; with those in env/system/ and
docker/Dockerfile they are the image's. What a maintainer runs is in env/lock/, and rebuilds neither.
"""
