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

/// Makes all keys and certificates unless they exist.
pub(crate) fn ensure(instance: &Instance) -> Result<()> {
    let dir = instance.pki_dir();
    if !dir.exists() {
        make_dir(instance, &dir)?;
    }
    // An earlier start may have been cut off just before this.
    let kubeconfig = instance.kubeconfig();
    if kubeconfig.exists() {
        return Ok(());
    }
    let admin = fs::read(dir.join("admin.conf")).context(FileSnafu {
        action: "read",
        path: dir.join("admin.conf"),
    })?;
    // As above: one that exists is complete.
    let new = kubeconfig.with_extension("new");
    write_secret(&new, &String::from_utf8_lossy(&admin))?;
    fs::rename(&new, &kubeconfig).context(FileSnafu {
        action: "create",
        path: &kubeconfig,
    })
}

fn make_dir(instance: &Instance, dir: &Path) -> Result<()> {
    // Made aside and moved: a directory that exists is complete.
    let new = dir.with_extension("new");
    remove_dir(&new)?;
    fs::create_dir_all(&new).context(FileSnafu {
        action: "create",
        path: &new,
    })?;
    make_all(instance, &new)?;
    fs::rename(&new, dir).context(FileSnafu {
        action: "create",
        path: dir,
    })
}

fn make_all(instance: &Instance, dir: &Path) -> Result<()> {
    let name = "lotoai-local-ca";
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
    let ca = certificate.pem();
    write_secret(&dir.join("ca.crt"), &ca)?;
    write_secret(&dir.join("ca.key"), &key.serialize_pem())?;
    let issuer = Issuer::new(params, key);

    let tokens = KeyPair::generate().context(CertificateSnafu { name: "sa" })?;
    write_secret(&dir.join("sa.key"), &tokens.serialize_pem())?;
    write_secret(&dir.join("sa.pub"), &tokens.public_key_pem())?;

    for leaf in leaves(instance) {
        let (certificate, key) = make(&leaf, &issuer)?;
        write_secret(&dir.join(format!("{}.crt", leaf.file)), &certificate)?;
        write_secret(&dir.join(format!("{}.key", leaf.file)), &key)?;
        if CLIENTS.contains(&leaf.file) {
            let url = instance.network().api_url();
            let text = kubeconfig(&url, &instance.handle(), &ca, &certificate, &key);
            write_secret(&dir.join(format!("{}.conf", leaf.file)), &text)?;
        }
    }
    Ok(())
}

fn leaves(instance: &Instance) -> Vec<Leaf> {
    let network = instance.network();
    let node = instance.node();
    let client = |file, common_name: &str, organization| Leaf {
        file,
        common_name: common_name.to_owned(),
        organization,
        names: Vec::new(),
        addresses: Vec::new(),
    };
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

    #[test]
    fn certificates_are_accepted_by_openssl() {
        let openssl = crate::exec::which("openssl").expect("openssl is one of the packages");
        let dir = tempfile::tempdir().unwrap();
        make_all(&Instance::new(MAIN).unwrap(), dir.path()).unwrap();
        for purpose in ["sslserver", "sslclient"] {
            let printed = crate::exec::Run::new(&openssl)
                .args([
                    "verify",
                    "-purpose",
                    purpose,
                    "-CAfile",
                    "ca.crt",
                    "apiserver.crt",
                ])
                .dir(dir.path())
                .ok()
                .unwrap();
            assert_eq!(printed.stdout.trim(), "apiserver.crt: OK");
        }
    }

    #[test]
    fn months_are_counted() {
        assert_eq!(year_and_month(0), (1970, 1));
        assert_eq!(year_and_month(951_782_400), (2000, 2)); // 29 February 2000
        assert_eq!(year_and_month(951_868_800), (2000, 3));
        assert_eq!(year_and_month(1_795_305_600), (2026, 11));
    }
}
