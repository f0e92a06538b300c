//! What the local cluster and the builds tell.

crate::texts! {
    stage_failed() { "failed" "ha fallado" }

    installs(packages) { "installs {packages}" "instala {packages}" }
    reads_lists() { "still reads the package lists" "sigue leyendo las listas de paquetes" }
    installs_packages() { "still installs packages" "sigue instalando paquetes" }
    lists_not_refreshed(cause) {
        "the package lists could not be refreshed: {cause}"
        "no se han podido actualizar las listas de paquetes: {cause}"
    }

    builds_tool(name, version) {
        "builds {name} {version} from its Go module"
        "compila {name} {version} desde su módulo de Go"
    }
    fetches_program(name, version) {
        "fetches {name} {version} from PyPI"
        "descarga {name} {version} de PyPI"
    }
    waits_for_build() {
        "waits for another run's build"
        "espera a que otra ejecución termine de compilar"
    }
    still_builds(file) { "still builds {file}" "sigue compilando {file}" }
    built(file) { "built {file}" "compilado {file}" }
    waits_for_images() {
        "waits for another run that builds images"
        "espera a otra ejecución que construye imágenes"
    }

    starts_node(node) { "starts the node {node}" "arranca el nodo {node}" }
    was_running() { "it was running already" "ya estaba en marcha" }
    node_facts(address, cgroup, snapshotter) {
        "node address {address}, cgroup {cgroup}, file systems of containers by {snapshotter}"
        "dirección del nodo {address}, cgroup {cgroup}, sistemas de ficheros de contenedores con {snapshotter}"
    }
    layers_copied() {
        "overlayfs cannot be used below the state directory: layers are copied"
        "overlayfs no se puede usar bajo el directorio de estado: las capas se copian"
    }
    starts_again(name) {
        "{name} starts again with a new configuration"
        "{name} arranca de nuevo con otra configuración"
    }
    api_answers(seconds) {
        "the API server answers after {seconds:.1} s"
        "el servidor de la API responde a los {seconds:.1} s"
    }
    node_ready(seconds) {
        "the node is ready after {seconds:.1} s"
        "el nodo está listo a los {seconds:.1} s"
    }
    cluster_is_up(node, api, port) {
        "{node}, Kubernetes API at {api}, HTTPS at 127.0.0.1:{port}"
        "{node}, API de Kubernetes en {api}, HTTPS en 127.0.0.1:{port}"
    }
    egress_closed() {
        "pods have no way out of this machine (LOTOAI_EGRESS=on opens one)"
        "los pods no tienen salida de esta máquina (LOTOAI_EGRESS=on la abre)"
    }
    no_default_route() {
        "pods have no way out: this machine has no default route"
        "los pods no tienen salida: esta máquina no tiene ruta por defecto"
    }
    no_way_out(cause) { "pods have no way out: {cause}" "los pods no tienen salida: {cause}" }
    no_forwarding(cause) {
        "pods have no way out: forwarding cannot be switched on: {cause}"
        "los pods no tienen salida: no se puede activar el reenvío: {cause}"
    }
    adds_metrics() {
        "adds metrics-server to the cluster"
        "añade metrics-server al clúster"
    }
    gives_images() { "gives the images to the node" "entrega las imágenes al nodo" }
    imported(imported, skipped) {
        "{imported} imported, {skipped} there already"
        "{imported} importadas, {skipped} ya estaban"
    }

    ends_node(node) { "ends the node {node}" "detiene el nodo {node}" }
    data_kept() {
        "volumes and stored objects are kept"
        "se conservan los volúmenes y los objetos guardados"
    }
    pods_did_not_end(count) {
        "{count} processes in pods did not end by themselves"
        "{count} procesos de pods no han terminado por sí solos"
    }
    removes(name) { "removes {name} and its data" "elimina {name} y sus datos" }
    removes_left(name) {
        "removes {name}, which an earlier run left behind"
        "elimina {name}, que dejó una ejecución anterior"
    }
    removed(what) { "removed: {what}" "eliminado: {what}" }
    kept(what) { "kept: {what}" "se conserva: {what}" }
    processes(count) { "{count} processes" "{count} procesos" }
    control_groups() { "control groups" "grupos de control" }
    network_namespace(name) { "network namespace {name}" "espacio de nombres de red {name}" }
    nothing_to_remove() { "there was nothing to remove" "no había nada que eliminar" }
    programs_in(path) { "built programs in {path}" "programas compilados en {path}" }
    images_in(path) { "images in {path}" "imágenes en {path}" }

    port_taken(port, by) {
        "port {port} of 127.0.0.1 is in use{by}"
        "el puerto {port} de 127.0.0.1 está ocupado{by}"
    }
    by(program) { " by {program}" " por {program}" }
    port_fix() {
        "end that program, or choose another port: LOTOAI_PORT=9443 make up"
        "termina ese programa o elige otro puerto: LOTOAI_PORT=9443 make up"
    }
    tool_missing(program, major, minor) {
        "{program} is missing; version {major}.{minor} or newer is needed"
        "falta {program}; se necesita la versión {major}.{minor} o posterior"
    }
    tool_old(program, found_major, found_minor, major, minor) {
        "{program} is version {found_major}.{found_minor}; {major}.{minor} or newer is needed"
        "{program} es la versión {found_major}.{found_minor}; se necesita la {major}.{minor} o posterior"
    }
    install_from(name, address) { "install {name}: {address}" "instala {name}: {address}" }
    install_npm() { "install npm; it comes with Node.js" "instala npm; viene con Node.js" }
    not_linux() {
        "the local cluster runs on Linux on x86-64 only"
        "el clúster local solo funciona en Linux sobre x86-64"
    }
    not_linux_fix() {
        "use another cluster: LOTOAI_CLUSTER=kind or LOTOAI_CLUSTER=current"
        "usa otro clúster: LOTOAI_CLUSTER=kind o LOTOAI_CLUSTER=current"
    }
    not_root() {
        "root is needed: the node makes network namespaces, mounts and control groups"
        "hace falta root: el nodo crea espacios de nombres de red, montajes y grupos de control"
    }
    not_root_fix() {
        "run the same command with sudo --preserve-env"
        "ejecuta la misma orden con sudo --preserve-env"
    }
    no_apt(packages) {
        "these packages are missing and there is no apt-get: {packages}"
        "faltan estos paquetes y no hay apt-get: {packages}"
    }
    no_apt_fix() {
        "install what corresponds to them on this distribution, or use Debian 12 or newer"
        "instala sus equivalentes en esta distribución, o usa Debian 12 o posterior"
    }
    little_memory(available, needed) {
        "{available} of memory are available; {needed} are needed"
        "hay {available} de memoria disponible; se necesitan {needed}"
    }
    little_memory_fix() {
        "end other programs, or use a machine with more memory"
        "termina otros programas o usa una máquina con más memoria"
    }
    little_disk(free, path, needed) {
        "{free} is free in {path}; {needed} are needed"
        "hay {free} libres en {path}; se necesitan {needed}"
    }
    little_disk_fix() {
        "free some space, or choose other directories: LOTOAI_STATE and LOTOAI_CACHE"
        "libera espacio o elige otros directorios: LOTOAI_STATE y LOTOAI_CACHE"
    }
    no_cgroups(cause) {
        "control groups cannot be used: {cause}"
        "no se pueden usar los grupos de control: {cause}"
    }
    no_cgroups_fix() {
        "mount them writable with the controllers cpu, memory and pids; in a container, run it privileged with --cgroupns=private"
        "móntalos con escritura y los controladores cpu, memory y pids; en un contenedor, ejecútalo con privilegios y --cgroupns=private"
    }
    no_namespaces(cause) {
        "network and mount namespaces cannot be made: {cause}"
        "no se pueden crear espacios de nombres de red y de montaje: {cause}"
    }
    no_namespaces_fix() {
        "use a machine or a privileged container whose kernel allows them"
        "usa una máquina, o un contenedor con privilegios, cuyo núcleo los permita"
    }
    no_iptables(cause) {
        "iptables does not work in a network namespace: {cause}"
        "iptables no funciona en un espacio de nombres de red: {cause}"
    }
    no_iptables_fix() {
        "load the kernel modules nf_tables, nf_nat and xt_comment, or use a kernel with them"
        "carga los módulos nf_tables, nf_nat y xt_comment, o usa un núcleo que los tenga"
    }
    route_overlaps(route) {
        "this machine has a route in 198.18.0.0/15, which the cluster uses: {route}"
        "esta máquina tiene una ruta en 198.18.0.0/15, que el clúster usa: {route}"
    }
    route_fix() {
        "remove that route while the cluster runs"
        "quita esa ruta mientras el clúster esté en marcha"
    }
}
