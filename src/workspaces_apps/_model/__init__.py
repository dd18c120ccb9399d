"""The base of the wire models: open enums, values, request validation, paginator, operation descriptors."""
