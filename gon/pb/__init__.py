"""Generated protobuf code of the control plane; see proto/ and tests/unit/test_proto.py. Never edited by hand."""
