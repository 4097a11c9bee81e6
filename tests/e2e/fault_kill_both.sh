#!/bin/bash
# kill -9 of the metaserver and of a chunkserver at once in the middle of a parallel untar.
# timeout: 180 long: 3600
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/fault_untar_common.sh"
need_cluster
start_cluster --chunkservers 1
untar_while_killing metaserver chunkserver
pass
