"""The reconciler: brings one WorkSpace to its desired state, for `install_applications` and for roll-outs alike."""
