# Debian packages: kfs-metaserver, kfs-chunkserver, kfs-client, each a component. deploy/packages makes them; deploy/debian
# has what dpkg runs. What is installed here is for packages only (EXCLUDE_FROM_ALL): a plain "cmake --install" writes
# nothing outside its prefix.
include(GNUInstallDirs)
set(KFS_PACKAGES "")
foreach(part metaserver chunkserver client)
  if(part STREQUAL "client")
    set(program kfs)
  else()
    set(program kfs-${part})
  endif()
  if(TARGET ${program})
    list(APPEND KFS_PACKAGES ${part})
    install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/kfs-${part} RENAME copyright COMPONENT ${part} EXCLUDE_FROM_ALL)
  endif()
endforeach()

# The units are written for /usr/local; a package's programs are in /usr.
foreach(unit kfs-metaserver.service kfs-chunkserver@.service)
  file(READ ${CMAKE_SOURCE_DIR}/deploy/systemd/${unit} text)
  string(REPLACE /usr/local/bin/ /usr/bin/ text "${text}")
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/units/${unit} CONTENT "${text}" @ONLY)
  string(REGEX MATCH "metaserver|chunkserver" part ${unit})
  install(FILES ${CMAKE_BINARY_DIR}/units/${unit} DESTINATION /lib/systemd/system COMPONENT ${part} EXCLUDE_FROM_ALL)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/deploy/systemd/${unit})
endforeach()
install(FILES deploy/conf/metaserver.toml DESTINATION /etc/kfs COMPONENT metaserver EXCLUDE_FROM_ALL)
install(FILES deploy/conf/chunkserver.toml DESTINATION /etc/kfs RENAME chunkserver-1.toml COMPONENT chunkserver EXCLUDE_FROM_ALL)
install(FILES deploy/conf/client.toml DESTINATION /etc/kfs COMPONENT client EXCLUDE_FROM_ALL)
file(GLOB KFS_DOCUMENTS CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/docs/*.md)
install(FILES README.md CHANGELOG.md ${KFS_DOCUMENTS} DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/kfs-client COMPONENT client EXCLUDE_FROM_ALL)
install(FILES deploy/systemd/mnt-kfs.mount deploy/prometheus/kfs-alerts.yml deploy/grafana/kfs.json
  DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/kfs-client/examples COMPONENT client EXCLUDE_FROM_ALL)
# For "mount -o remount": the kernel calls the type of the mount fuse.kfs. /sbin is /usr/sbin.
install(CODE [[file(CREATE_LINK mount.kfs "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/sbin/mount.fuse.kfs" SYMBOLIC)]]
  COMPONENT client EXCLUDE_FROM_ALL)

set(CPACK_GENERATOR DEB)
set(CPACK_COMPONENTS_ALL ${KFS_PACKAGES})
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGE_NAME kfs)
set(CPACK_PACKAGE_VENDOR KFS)
set(CPACK_PACKAGE_CONTACT "KFS operators <root@localhost>")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
foreach(part ${KFS_PACKAGES})
  string(TOUPPER ${part} key)
  file(GLOB control CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/deploy/debian/${part}/*)
  set(CPACK_DEBIAN_${key}_PACKAGE_NAME kfs-${part})
  set(CPACK_DEBIAN_${key}_PACKAGE_CONTROL_EXTRA "${control}")
endforeach()
set(CPACK_DEBIAN_METASERVER_PACKAGE_RECOMMENDS kfs-client)
set(CPACK_DEBIAN_CHUNKSERVER_PACKAGE_RECOMMENDS kfs-client)
set(CPACK_DEBIAN_CLIENT_PACKAGE_DEPENDS "fuse3, mount")
set(CPACK_DEBIAN_CLIENT_PACKAGE_SUGGESTS bash-completion)
set(CPACK_COMPONENT_METASERVER_DESCRIPTION "distributed POSIX file system: metaserver
Keeps the names and attributes of volumes; several of them are one cluster.
The daemon is not started by being installed: /etc/kfs/metaserver.toml first.")
set(CPACK_COMPONENT_CHUNKSERVER_DESCRIPTION "distributed POSIX file system: chunkserver
Keeps the data of files on this machine's disks.
The daemon is not started by being installed: /etc/kfs/chunkserver-1.toml first.")
set(CPACK_COMPONENT_CLIENT_DESCRIPTION "distributed POSIX file system: mount and administration
The kfs command, mount.kfs for mount(8) and /etc/fstab, manual pages.")
include(CPack)
