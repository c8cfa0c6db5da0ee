// Command image packs the programs into an OCI image, without a container engine and without a base image. `make image` calls it.
//
// It reads the statically linked programs of each architecture from <programs>/linux_<arch> and writes, for the same programs,
// commit and Go release, always the same bytes: an OCI layout as a directory and as one tar, an SPDX document for each
// architecture, and SLSA provenance. With -root it writes the files of one architecture's image into a directory
// instead, from which the Dockerfile copies them.
//
// It is a module of its own, because the product needs none of its dependencies.
package main
