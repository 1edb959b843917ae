"""CallGear (CoMagic, UIS): templates, stories, and the reader that says what they mean."""
