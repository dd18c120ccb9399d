"""Sources of the documentation site: the written pages, and the reference that is made from the package.

`python -m docsite` writes them to `build/docs`, with the navigation in `build/mkdocs.yml`; `nox -s docs` builds the site.
"""
