//! Where a platform is and how to sign in, read from its resource and Secrets.

use std::net::SocketAddr;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DynamicObject};
use kube::core::{ApiResource, GroupVersionKind};
use snafu::{OptionExt, ResultExt};

use crate::error::{BuildSnafu, ClusterSnafu, KubeconfigSnafu, NoUrlSnafu, Result, SecretKeySnafu};

/// A platform on a cluster, as `kubectl` sees it.
#[derive(Clone)]
pub struct Platform {
    /// Client of the cluster.
    pub kube: kube::Client,
    /// Namespace of the resource.
    pub namespace: String,
    /// Name of the resource.
    pub name: String,
}

/// The name and password of a user.
#[derive(Clone)]
pub struct Login {
    /// User name.
    pub username: String,
    /// Password.
    pub password: String,
}

impl Platform {
    /// The platform `name` in `namespace` of the cluster that `KUBECONFIG` names.
    ///
    /// # Errors
    /// When there is no usable kubeconfig.
    pub async fn connect(namespace: &str, name: &str) -> Result<Self> {
        let config = kube::Config::infer().await.context(KubeconfigSnafu)?;
        let kube = kube::Client::try_from(config).context(ClusterSnafu {
            action: "create a client of the cluster",
        })?;
        Ok(Self {
            kube,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }

    /// The `LotoAI` resources of the namespace.
    #[must_use]
    pub fn resources(&self) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk("lotoai.dev", "v1alpha1", "LotoAI");
        let resource = ApiResource::from_gvk_with_plural(&kind, "lotoais");
        Api::namespaced_with(self.kube.clone(), &self.namespace, &resource)
    }

    /// The public URL from the status.
    ///
    /// # Errors
    /// When the resource cannot be read or has no URL yet.
    pub async fn url(&self) -> Result<String> {
        let action = format!("read LotoAI {:?}", self.name);
        let object = self
            .resources()
            .get(&self.name)
            .await
            .context(ClusterSnafu { action })?;
        object
            .data
            .pointer("/status/url")
            .and_then(|url| url.as_str())
            .map(str::to_owned)
            .context(NoUrlSnafu { name: &self.name })
    }

    /// The first user, from Secret `<name>-first-user`.
    ///
    /// # Errors
    /// When the Secret is missing or incomplete.
    pub async fn first_user(&self) -> Result<Login> {
        let secret = format!("{}-first-user", self.name);
        Ok(Login {
            username: self.secret_text(&secret, "username").await?,
            password: self.secret_text(&secret, "password").await?,
        })
    }

    /// The certificate authority of the public URL, PEM, from Secret `<name>-tls`.
    ///
    /// # Errors
    /// When the Secret is missing or incomplete.
    pub async fn certificate_authority(&self) -> Result<String> {
        self.secret_text(&format!("{}-tls", self.name), "ca.crt")
            .await
    }

    /// An HTTP client that trusts the platform's certificate and finds `*.localhost` on loopback.
    ///
    /// # Errors
    /// When the certificate authority cannot be read.
    pub async fn http(&self) -> Result<reqwest::Client> {
        let url = self.url().await?;
        let authority = self.certificate_authority().await?;
        let mut builder = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .tls_certs_merge(
                reqwest::Certificate::from_pem_bundle(authority.as_bytes()).context(BuildSnafu)?,
            )
            .redirect(reqwest::redirect::Policy::none());
        if let Some((host, port)) = loopback_name(&url) {
            // A proxy of this machine would look for the name, or the port, on itself.
            builder = builder
                .resolve(host, SocketAddr::from(([127, 0, 0, 1], port)))
                .no_proxy();
        }
        builder.build().context(BuildSnafu)
    }

    async fn secret_text(&self, name: &str, key: &str) -> Result<String> {
        let action = format!("read Secret {name:?}");
        let secrets: Api<Secret> = Api::namespaced(self.kube.clone(), &self.namespace);
        let secret = secrets.get(name).await.context(ClusterSnafu { action })?;
        secret
            .data
            .and_then(|mut data| data.remove(key))
            .and_then(|value| String::from_utf8(value.0).ok())
            .context(SecretKeySnafu { secret: name, key })
    }
}

/// Host and port of a URL whose host is below `.localhost`, which not every resolver knows.
fn loopback_name(url: &str) -> Option<(&str, u16)> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split('/').next()?;
    let default = if scheme == "https" { 443 } else { 80 };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (authority, default),
    };
    host.ends_with(".localhost").then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_below_localhost_are_found_on_loopback() {
        assert_eq!(
            loopback_name("https://lotoai.localhost:8443"),
            Some(("lotoai.localhost", 8443))
        );
        assert_eq!(
            loopback_name("https://lotoai.localhost/"),
            Some(("lotoai.localhost", 443))
        );
        assert_eq!(loopback_name("https://ai.example.com"), None);
        assert_eq!(loopback_name("https://localhost.example.com:1"), None);
    }
}
