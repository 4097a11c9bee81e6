#!/bin/bash
# kill -9 of the metaserver in the middle of a parallel untar: it goes on, nothing is lost or doubled (P3, P4).
# timeout: 180 long: 3600
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/fault_untar_common.sh"
need_cluster
start_cluster --chunkservers 3
untar_while_killing metaserver
pass
