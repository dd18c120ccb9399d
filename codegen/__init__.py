"""The generator: botocore's model of the service in, `workspaces_apps.api` out."""
