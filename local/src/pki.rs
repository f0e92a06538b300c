//! Keys and certificates of a cluster, made once and kept with its state.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use serde_json::json;
use snafu::ResultExt;

use crate::error::{CertificateSnafu, FileSnafu, Result};
use crate::instance::Instance;
use crate::sandbox::remove_dir;

/// A local cluster has nobody who would renew its certificates.
const VALID_YEARS: i32 = 10;

/// A certificate to be made.
struct Leaf {
    /// The file name without extension.
    file: &'static str,
    /// The user, or the server's name.
    common_name: String,
    /// The user's group.
    organization: Option<&'static str>,
    /// Names and addresses as a server.
    names: Vec<String>,
    addresses: Vec<IpAddr>,
}

/// Users that reach the API server through a kubeconfig of their own, by file name.
const CLIENTS: [&str; 6] = [
    "admin",
    "controller-manager",
    "scheduler",
    "kubelet",
    "proxy",
    "local-path-provisioner",
];
/// Directory with `client.crt` and `client.key`, with which the API server passes requests on to others,
/// and `ca.crt`, the authority of these alone.
pub(crate) const AGGREGATION: &str = "aggregation";
/// The name in that certificate.
pub(crate) const AGGREGATOR: &str = "kube-aggregator";
/// The program, the directory and file of its certificate, its user and its Service.
pub(crate) const METRICS_SERVER: &str = "metrics-server";

/// Makes all keys and certificates unless they exist.
pub(crate) fn ensure(instance: &Instance) -> Result<()> {
    let dir = instance.pki_dir();
    ensure_dir(&dir, |new| make_all(instance, new))?;
    // In a directory of its own: a cluster that is kept may have been made without it.
    ensure_dir(&dir.join(AGGREGATION), make_aggregation)?;
    // An earlier start may have been cut off just before this.
    let kubeconfig = instance.kubeconfig();
    if kubeconfig.exists() {
        return Ok(());
    }
    let admin = read(&dir.join("admin.conf"))?;
    // As above: one that exists is complete.
    let new = kubeconfig.with_extension("new");
    write_secret(&new, &admin)?;
    fs::rename(&new, &kubeconfig).context(FileSnafu {
        action: "create",
        path: &kubeconfig,
    })
}

/// Makes what metrics-server serves with and signs in with, unless it exists; the rest must.
pub(crate) fn ensure_metrics_server(instance: &Instance) -> Result<()> {
    let dir = instance.pki_dir();
    ensure_dir(&dir.join(METRICS_SERVER), |new| {
        make_metrics_server(instance, &dir, new)
    })
}

/// Makes a directory with what `fill` writes in it, unless it exists.
fn ensure_dir(dir: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if dir.exists() {
        return Ok(());
    }
    // Made aside and moved: a directory that exists is complete.
    let new = dir.with_extension("new");
    remove_dir(&new)?;
    fs::create_dir_all(&new).context(FileSnafu {
        action: "create",
        path: &new,
    })?;
    fill(&new)?;
    fs::rename(&new, dir).context(FileSnafu {
        action: "create",
        path: dir,
    })
}

/// An authority of this name, and its certificate.
fn authority(name: &str) -> Result<(String, Issuer<'static, KeyPair>)> {
    let key = KeyPair::generate().context(CertificateSnafu { name })?;
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    set_validity(&mut params);
    let certificate = params
        .self_signed(&key)
        .context(CertificateSnafu { name })?;
    Ok((certificate.pem(), Issuer::new(params, key)))
}

fn make_all(instance: &Instance, dir: &Path) -> Result<()> {
    let (ca, issuer) = authority("lotoai-local-ca")?;
    write_secret(&dir.join("ca.crt"), &ca)?;
    write_secret(&dir.join("ca.key"), &issuer.key().serialize_pem())?;

    let tokens = KeyPair::generate().context(CertificateSnafu { name: "sa" })?;
    write_secret(&dir.join("sa.key"), &tokens.serialize_pem())?;
    write_secret(&dir.join("sa.pub"), &tokens.public_key_pem())?;

    for leaf in leaves(instance) {
        let pair = write_pair(dir, &leaf, &issuer)?;
        if CLIENTS.contains(&leaf.file) {
            write_kubeconfig(instance, dir, leaf.file, &ca, &pair)?;
        }
    }
    Ok(())
}

/// What the API server shows to the servers that it passes requests on to. They believe what such a
/// request says of its user, so the authority signs nothing else, and nobody keeps its key.
fn make_aggregation(dir: &Path) -> Result<()> {
    let (ca, issuer) = authority("lotoai-local-aggregation")?;
    write_secret(&dir.join("ca.crt"), &ca)?;
    write_pair(dir, &client("client", AGGREGATOR, None), &issuer).map(drop)
}

/// `of` is the directory of [`make_all`].
fn make_metrics_server(instance: &Instance, of: &Path, dir: &Path) -> Result<()> {
    let name = METRICS_SERVER;
    let ca = read(&of.join("ca.crt"))?;
    let key = read(&of.join("ca.key"))?;
    let key = KeyPair::from_pem(&key).context(CertificateSnafu { name })?;
    let issuer = Issuer::from_ca_cert_pem(&ca, key).context(CertificateSnafu { name })?;
    let leaf = Leaf {
        // By which the API server calls a Service.
        names: vec![format!("{name}.kube-system.svc")],
        addresses: vec![instance.network().node.into()],
        ..client(name, name, None)
    };
    let pair = write_pair(dir, &leaf, &issuer)?;
    write_kubeconfig(instance, dir, name, &ca, &pair)
}

/// Writes a certificate and its key, and gives them back.
fn write_pair(dir: &Path, leaf: &Leaf, issuer: &Issuer<'_, KeyPair>) -> Result<(String, String)> {
    let (certificate, key) = make(leaf, issuer)?;
    write_secret(&dir.join(format!("{}.crt", leaf.file)), &certificate)?;
    write_secret(&dir.join(format!("{}.key", leaf.file)), &key)?;
    Ok((certificate, key))
}

fn write_kubeconfig(
    instance: &Instance,
    dir: &Path,
    file: &str,
    ca: &str,
    (certificate, key): &(String, String),
) -> Result<()> {
    let url = instance.network().api_url();
    let text = kubeconfig(&url, &instance.handle(), ca, certificate, key);
    write_secret(&dir.join(format!("{file}.conf")), &text)
}

fn leaves(instance: &Instance) -> Vec<Leaf> {
    let network = instance.network();
    let node = instance.node();
    let admins = Some("system:masters");
    let here: IpAddr = [127, 0, 0, 1].into();
    let names = [
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    ];
    vec![
        Leaf {
            names: names.map(str::to_owned).to_vec(),
            addresses: vec![
                here,
                network.api_service.into(),
                network.node.into(),
                network.host.into(),
            ],
            ..client("apiserver", "kube-apiserver", None)
        },
        client("kubelet-client", "apiserver-kubelet", admins),
        client("admin", "admin", admins),
        client("controller-manager", "system:kube-controller-manager", None),
        client("scheduler", "system:kube-scheduler", None),
        Leaf {
            names: vec![node.clone()],
            addresses: vec![network.node.into(), here],
            ..client(
                "kubelet",
                &format!("system:node:{node}"),
                Some("system:nodes"),
            )
        },
        client("proxy", "system:kube-proxy", None),
        client("local-path-provisioner", "local-path-provisioner", None),
    ]
}

/// One that serves nothing.
fn client(file: &'static str, common_name: &str, organization: Option<&'static str>) -> Leaf {
    Leaf {
        file,
        common_name: common_name.to_owned(),
        organization,
        names: Vec::new(),
        addresses: Vec::new(),
    }
}

fn make(leaf: &Leaf, issuer: &Issuer<'_, KeyPair>) -> Result<(String, String)> {
    let context = || CertificateSnafu { name: leaf.file };
    let key = KeyPair::generate().with_context(|_| context())?;
    let mut params = CertificateParams::new(leaf.names.clone()).with_context(|_| context())?;
    params
        .subject_alt_names
        .extend(leaf.addresses.iter().map(|ip| SanType::IpAddress(*ip)));
    params
        .distinguished_name
        .push(DnType::CommonName, leaf.common_name.as_str());
    if let Some(organization) = leaf.organization {
        params
            .distinguished_name
            .push(DnType::OrganizationName, organization);
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    if !leaf.addresses.is_empty() {
        params
            .extended_key_usages
            .push(ExtendedKeyUsagePurpose::ServerAuth);
    }
    params.use_authority_key_identifier_extension = true;
    set_validity(&mut params);
    let certificate = params.signed_by(&key, issuer).with_context(|_| context())?;
    Ok((certificate.pem(), key.serialize_pem()))
}

/// From the first day of last month, so that a clock that is a little behind does not matter.
fn set_validity(params: &mut CertificateParams) {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let (year, month) = year_and_month(seconds);
    let (from_year, from_month) = if month == 1 {
        (year - 1, 12)
    } else {
        (year, month - 1)
    };
    params.not_before = rcgen::date_time_ymd(from_year, from_month, 1);
    params.not_after = rcgen::date_time_ymd(from_year + VALID_YEARS, from_month, 1);
}

/// Of a time in seconds since 1970, by counting days.
fn year_and_month(seconds: u64) -> (i32, u8) {
    let mut days = seconds / 86_400;
    let mut year: i32 = 1970;
    loop {
        let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        let february = if leap { 29 } else { 28 };
        let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        for (month, length) in (1_u8..).zip(months) {
            if days < length {
                return (year, month);
            }
            days -= length;
        }
        year += 1;
    }
}

/// JSON, which every reader of YAML reads.
fn kubeconfig(url: &str, name: &str, ca: &str, certificate: &str, key: &str) -> String {
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": name,
            "cluster": { "server": url, "certificate-authority-data": encode(ca) },
        }],
        "users": [{
            "name": name,
            "user": {
                "client-certificate-data": encode(certificate),
                "client-key-data": encode(key),
            },
        }],
        "contexts": [{ "name": name, "context": { "cluster": name, "user": name } }],
        "current-context": name,
    });
    format!("{config:#}\n")
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).context(FileSnafu {
        action: "read",
        path,
    })
}

fn write_secret(path: &Path, text: &str) -> Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .context(FileSnafu {
            action: "create",
            path,
        })?;
    file.write_all(text.as_bytes()).context(FileSnafu {
        action: "write",
        path,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance::MAIN;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn every_file_is_made_and_private() {
        let dir = tempfile::tempdir().unwrap();
        make_all(&Instance::new(MAIN).unwrap(), dir.path()).unwrap();
        let mut files = 0;
        for entry in fs::read_dir(dir.path()).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{:?}", entry.path());
            files += 1;
        }
        assert_eq!(files, 2 + 2 + 8 * 2 + CLIENTS.len());
        let config = fs::read(dir.path().join("admin.conf")).unwrap();
        let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
        let server = &config["clusters"][0]["cluster"]["server"];
        assert_eq!(server, "https://198.18.32.2:6443");
    }

    /// Whether openssl accepts `certificate` of `dir` for `purpose`, when it trusts `authority`.
    fn is_accepted(dir: &Path, purpose: &str, authority: &str, certificate: &str) -> bool {
        let openssl = crate::exec::which("openssl").expect("openssl is one of the packages");
        let verified = crate::exec::Run::new(&openssl)
            .args(["verify", "-purpose", purpose, "-CAfile"])
            .args([authority, certificate])
            .dir(dir)
            .ok();
        verified.is_ok_and(|printed| printed.stdout.trim() == format!("{certificate}: OK"))
    }

    #[test]
    fn certificates_are_accepted_by_openssl() {
        let dir = tempfile::tempdir().unwrap();
        make_all(&Instance::new(MAIN).unwrap(), dir.path()).unwrap();
        for purpose in ["sslserver", "sslclient"] {
            assert!(is_accepted(dir.path(), purpose, "ca.crt", "apiserver.crt"));
        }
    }

    /// As it comes to a cluster that was made without it.
    #[test]
    fn metrics_server_is_signed_by_the_authority_that_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let (main, own) = (
            Instance::new(MAIN).unwrap(),
            dir.path().join(METRICS_SERVER),
        );
        make_all(&main, dir.path()).unwrap();
        ensure_dir(&own, |new| make_metrics_server(&main, dir.path(), new)).unwrap();
        let certificate = "metrics-server/metrics-server.crt";
        for purpose in ["sslserver", "sslclient"] {
            assert!(is_accepted(dir.path(), purpose, "ca.crt", certificate));
        }
        assert!(own.join("metrics-server.conf").is_file());
        let before = read(&dir.path().join(certificate)).unwrap();
        ensure_dir(&own, |_| unreachable!("it is there")).unwrap();
        assert_eq!(read(&dir.path().join(certificate)).unwrap(), before);
    }

    /// A user's certificate would let its owner speak for everybody.
    #[test]
    fn no_user_is_taken_for_the_aggregator() {
        let dir = tempfile::tempdir().unwrap();
        make_all(&Instance::new(MAIN).unwrap(), dir.path()).unwrap();
        ensure_dir(&dir.path().join(AGGREGATION), make_aggregation).unwrap();
        let accepted =
            |certificate| is_accepted(dir.path(), "sslclient", "aggregation/ca.crt", certificate);
        assert!(accepted("aggregation/client.crt"));
        assert!(!accepted("admin.crt"));
    }

    #[test]
    fn months_are_counted() {
        assert_eq!(year_and_month(0), (1970, 1));
        assert_eq!(year_and_month(951_782_400), (2000, 2)); // 29 February 2000
        assert_eq!(year_and_month(951_868_800), (2000, 3));
        assert_eq!(year_and_month(1_795_305_600), (2026, 11));
    }
}
