# The WorkSpaces simulator for tests in other languages: docs/testing.md has the recipe.
FROM python:3.13-slim

WORKDIR /srv/simulator
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY src ./src
# The versions of the lock; pip takes no hashes from constraints for what is named without a version.
RUN sed -E '/^ |^#/d; s/ *\\$//' constraints.txt > pins.txt \
 && python -m pip install --no-cache-dir --disable-pip-version-check -c pins.txt ".[cli]"
RUN useradd --system --no-create-home simulator
USER simulator

EXPOSE 4566
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=6 \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:4566/_control/health', timeout=2)"]
ENTRYPOINT ["workspaces-apps", "simulate", "--host", "0.0.0.0", "--allow-remote", "--port", "4566"]
