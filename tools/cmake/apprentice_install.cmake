# Install and export: find_package(Apprentice), link apprentice::apprentice or a lower target.
