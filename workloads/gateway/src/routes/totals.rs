//! `GET /api/usage/totals`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use jiff::Timestamp;
use lotoai_policy::usage;

use super::budgets::flag;
use crate::domain::page::{Page, PageQuery, not_of_list};
use crate::domain::parameters::Parameters;
use crate::domain::usage_request::span;
use crate::failure::Failure;
use crate::identity::SignedIn;
use crate::state::AppState;
use crate::store::{By, TotalsCursor, UsageQuery, UsageTotal};

/// The caller's usage, added up by day, month, model or person; for administrators everybody's, or
/// that of `subject`. Days and months come the newest first, others by their tokens.
///
/// # Errors
/// 400 for a bad or unknown parameter, 403 for the wish of others to see somebody else's, 503 when
/// the database is away.
#[utoipa::path(
    get,
    path = "/api/usage/totals",
    operation_id = "sumUsage",
    tag = "usage",
    params(
        ("by" = Option<String>, Query, description = "`day`, `month`, `model` or `subject`; `day` without it"),
        ("from" = Option<String>, Query, description = "First day in UTC, such as 2026-11-26"),
        ("to" = Option<String>, Query, description = "Last day in UTC; today without it"),
        ("subject" = Option<String>, Query, description = "Whose, for administrators"),
        ("all" = Option<bool>, Query, description = "Everybody's, for administrators"),
        ("limit" = Option<u32>, Query, description = "Sums of a page, 1 to 1000; 1000 without it"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
    ),
    responses((status = 200, description = "A page", body = Page<UsageTotal>)),
)]
pub async fn list(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<UsageTotal>>, Failure> {
    let known = ["by", "from", "to", "subject", "all", "limit", "cursor"];
    let mut query = Parameters::parse(query.as_deref(), &known)?;
    let by = by(&mut query)?;
    let (from, to) = span(&mut query, Timestamp::now())?;
    let all = flag(&mut query, "all")?;
    let subject = usage::whose(identity.who(), all, query.take("subject"))?;
    let page = PageQuery::of(&mut query);
    let limit = page.wide_limit()?;
    let after = page.after::<TotalsCursor>()?;
    if after.as_ref().is_some_and(|after| after.by != by.name()) {
        return Err(not_of_list());
    }
    let usage = UsageQuery {
        subject,
        from: from.to_string(),
        to: to.to_string(),
    };
    let items = state
        .store
        .usage_totals(&usage, by, after.as_ref(), limit as i64 + 1)
        .await?;
    Ok(Json(Page::of(items, limit, |total| {
        TotalsCursor::of(by, total)
    })))
}

/// What sums are made by; by day when nothing is said.
///
/// # Errors
/// 400 when there are no such sums.
pub fn by(query: &mut Parameters) -> Result<By, Failure> {
    let Some(name) = query.take("by") else {
        return Ok(By::Day);
    };
    By::of_name(&name).ok_or_else(|| {
        let known = By::ALL.map(By::name).join(", ");
        Failure::invalid("by", format!("by must be one of: {known}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("", Some(By::Day))]
    #[case("by=month", Some(By::Month))]
    #[case("by=model", Some(By::Model))]
    #[case("by=subject", Some(By::Subject))]
    #[case("by=", None)]
    #[case("by=Day", None)]
    #[case("by=day; drop table usage_days", None)]
    fn what_sums_are_made_by(#[case] text: &str, #[case] expected: Option<By>) {
        let mut query = Parameters::parse(Some(text), &["by"]).unwrap();
        assert_eq!(by(&mut query).ok(), expected);
    }
}
