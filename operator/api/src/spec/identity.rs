//! Who may sign in: people of the managed Keycloak, or those of an issuer that is there already.

use kube_derive::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::names::{ObjectName, UserName};

/// Who may sign in: people of a Keycloak that the operator runs, unless `external` names an issuer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = Rule::new("!(has(self.external) && has(self.firstUser))").message(
        "identity has either firstUser (the operator runs Keycloak) or external (people are known \
         elsewhere): remove one of them",
    ),
    validation = Rule::new("has(self.external) == has(oldSelf.external)").message(
        "whether identity is external is fixed, because conversations and documents belong to the \
         people whom that issuer names: set it back, or make a new LotoAI resource",
    ),
)]
pub struct Identity {
    /// The first user of the managed Keycloak: member of group `admins`, with a generated
    /// password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_user: Option<FirstUser>,
    /// An OpenID Connect issuer that is there already. The operator then runs no Keycloak.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalIdentity>,
}

impl Identity {
    /// The first user of the managed Keycloak.
    #[must_use]
    pub fn first_user(&self) -> FirstUser {
        self.first_user.clone().unwrap_or_default()
    }
}

/// An issuer with discovery (`/.well-known/openid-configuration`) and an application registered
/// there, with redirect URI `<url>/auth/callback`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(crates(kube_core = "::kube_core"))]
pub struct ExternalIdentity {
    /// The issuer exactly as it names itself, trailing slash included, for example
    /// `https://login.example.com/realms/staff`. Fixed, because the people whom it names own what
    /// is stored.
    #[serde(rename = "issuerURL")]
    #[schemars(length(min = 9, max = 500))]
    #[x_kube(
        validation = Rule::new(
            "self.matches('^https://[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[1-9][0-9]{0,4})?(/[-._~%A-Za-z0-9/]*)?$')",
        ).message(
            "issuerURL must be https://, a lower-case host and perhaps a path, without user, query \
             and fragment, for example https://login.example.com/realms/staff",
        ),
        validation = Rule::new("self == oldSelf").message(
            "issuerURL is fixed, because another issuer may give the same names to other people, \
             who would then own the conversations and documents here: set it back, or make a new \
             LotoAI resource",
        ),
    )]
    pub issuer_url: String,
    /// Client id of the application.
    #[serde(rename = "clientID")]
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[!-~]+$"))]
    pub client_id: String,
    /// Secret with `clientSecret`, the application's secret.
    pub client_secret_name: ObjectName,
    /// Audience that tokens must carry; the client id when it is not set. With an audience of its
    /// own, people are identified by their access token; without, by their ID token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[!-~]+$"))]
    pub audience: Option<String>,
    /// Secret with `ca.crt`, the authority of the issuer's certificate; the well-known authorities
    /// when it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_name: Option<ObjectName>,
    /// Claim of tokens with the list of a person's groups.
    #[serde(default = "ExternalIdentity::default_groups_claim")]
    #[schemars(length(min = 1, max = 256))]
    pub groups_claim: String,
    /// Group whose members are administrators: of everybody's documents, usage, budgets, keys and
    /// sessions, and of erasing people. Nobody is when it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub admin_group: Option<String>,
    /// Scopes to ask for at sign-in beside `openid`.
    #[serde(default = "ExternalIdentity::default_scopes")]
    #[schemars(
        length(max = 20),
        inner(length(min = 1, max = 256), regex(pattern = r"^[!-~]+$"))
    )]
    pub scopes: Vec<String>,
}

impl ExternalIdentity {
    /// Audience that tokens must carry.
    #[must_use]
    pub fn audience(&self) -> &str {
        self.audience.as_deref().unwrap_or(&self.client_id)
    }

    fn default_groups_claim() -> String {
        "groups".to_owned()
    }

    fn default_scopes() -> Vec<String> {
        vec!["profile".to_owned(), "email".to_owned()]
    }
}

/// The first user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(crates(kube_core = "::kube_core"))]
pub struct FirstUser {
    /// Name to sign in with.
    #[serde(default = "FirstUser::default_username")]
    pub username: UserName,
    /// Address of the user. Nothing is sent to it.
    #[serde(default = "FirstUser::default_email")]
    #[schemars(length(min = 3, max = 254))]
    #[x_kube(validation = Rule::new("self.matches('^[^@ ]+@[^@ ]+$')").message(
        "identity.firstUser.email must be an address like ana@example.com",
    ))]
    pub email: String,
}

impl FirstUser {
    #[expect(clippy::expect_used, reason = "a literal, checked by a test")]
    fn default_username() -> UserName {
        "admin".parse().expect("admin is a user name")
    }

    fn default_email() -> String {
        "admin@example.com".to_owned()
    }
}

impl Default for FirstUser {
    fn default() -> Self {
        Self {
            username: Self::default_username(),
            email: Self::default_email(),
        }
    }
}
