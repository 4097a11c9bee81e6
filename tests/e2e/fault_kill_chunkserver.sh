#!/bin/bash
# kill -9 of a chunkserver in the middle of a parallel untar: it goes on, nothing is lost (P4).
# timeout: 180 long: 3600
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/fault_untar_common.sh"
need_cluster
start_cluster --chunkservers 1
untar_while_killing chunkserver
pass
