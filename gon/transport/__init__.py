"""Links: how frames travel, chosen by URI scheme. Carries opaque bytes and must not know them."""
