//! Budgets: what may be asked of models, in requests, tokens and money, by whom and how often.
//!
//! ```text
//! plan (pure) → reserve (counters, locked) → the answer → settle → fold (background)
//! ```
//!
//! Who reserves holds the locks of the counters in PostgreSQL, so any number of replicas together
//! never admit more than a budget allows. Questions of the same moment are reserved together. A question reserves its estimate; its answer is charged with what was counted.

pub mod counters;
pub mod current;
pub mod estimate;
pub mod ledger;
pub mod money;
pub mod plan;
pub mod rules;
pub mod table;
pub mod window;

use jiff::Timestamp;

use self::table::{Budget, Scope, Table};
use self::window::Window;
use crate::identity::Identity;

/// Whose question it is, as budgets see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The user: the `sub` of the token, or the owner of the API key.
    pub user: String,
    /// Their groups.
    pub groups: Vec<String>,
    /// The id of the API key that they used, if they used one.
    pub api_key: Option<String>,
}

impl Principal {
    /// The principal behind an identity.
    pub fn of(identity: &Identity) -> Self {
        Self {
            user: identity.subject.clone(),
            groups: identity.groups.clone(),
            api_key: identity.api_key().map(str::to_owned),
        }
    }
}

/// A budget that a question counts in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched<'a> {
    /// The budget.
    pub budget: &'a Budget,
    /// For whom; empty for the platform.
    pub subject: String,
    /// When.
    pub window: Window,
}

impl Table {
    /// The budgets that a question of `principal` counts in now, each once for each subject.
    pub fn matching(&self, principal: &Principal, now: Timestamp) -> Vec<Matched<'_>> {
        let mut matched = Vec::new();
        for budget in &self.budgets {
            let window = budget.per.window(now);
            for subject in subjects(budget, principal) {
                let subject = subject.to_owned();
                let new = Matched {
                    budget,
                    subject,
                    window,
                };
                // A token may name a group twice.
                if !matched.contains(&new) {
                    matched.push(new);
                }
            }
        }
        matched
    }
}

fn subjects<'a>(budget: &'a Budget, principal: &'a Principal) -> Vec<&'a str> {
    let own: Vec<&str> = match budget.scope {
        Scope::Platform => return vec![""],
        Scope::User => vec![&principal.user],
        Scope::Group => principal.groups.iter().map(String::as_str).collect(),
        Scope::APIKey => principal.api_key.as_deref().into_iter().collect(),
    };
    let is_named =
        |subject: &&str| budget.names.is_empty() || budget.names.iter().any(|name| name == subject);
    own.into_iter().filter(is_named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_counts_for_its_user_groups_key_and_the_platform() {
        let budget = |name: &str, scope: &str, names: &str| {
            format!("{{name: {name}, scope: {scope}, names: [{names}], per: Day, requests: 1}}")
        };
        let budgets = [
            budget("all", "Platform", ""),
            budget("each-user", "User", ""),
            budget("bob", "User", "bob"),
            budget("each-group", "Group", ""),
            budget("hr-or-it", "Group", "it, hr"),
            budget("each-key", "APIKey", ""),
        ];
        let table = table::parse(&format!("budgets: [{}]", budgets.join(", "))).unwrap();
        let names = |api_key: Option<&str>| -> Vec<(String, String)> {
            let principal = Principal {
                user: "ana".into(),
                groups: vec!["hr".into(), "staff".into(), "hr".into()],
                api_key: api_key.map(str::to_owned),
            };
            let matched = table.matching(&principal, Timestamp::UNIX_EPOCH);
            let pair = |it: Matched<'_>| (it.budget.name.clone(), it.subject);
            matched.into_iter().map(pair).collect()
        };
        let pairs = |list: &[(&str, &str)]| -> Vec<(String, String)> {
            let owned = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
            list.iter().map(owned).collect()
        };
        let mut expected = vec![
            ("all", ""),
            ("each-user", "ana"),
            ("each-group", "hr"),
            ("each-group", "staff"),
            ("hr-or-it", "hr"),
        ];
        assert_eq!(names(None), pairs(&expected));
        expected.push(("each-key", "k1"));
        assert_eq!(names(Some("k1")), pairs(&expected));
    }
}
