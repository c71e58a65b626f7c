"""From a model pack to a smaller one: kernels become codes into small tables of sub-vectors."""
