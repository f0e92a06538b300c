//! `/api/admin/budgets`: what budgets there are. Those of the resource are shown and stay as they
//! are there; others are made, altered and removed here.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::body;
use super::budgets::amounts;
use crate::budget::table::{Budget, Scope, Table, UnknownPrice};
use crate::budget::window::Period;
use crate::domain::budget_request::{self, Allowance, MAX_BODY_BYTES};
use crate::domain::page::{Page, PageQuery};
use crate::domain::parameters::Parameters;
use crate::error::chain;
use crate::failure::Failure;
use crate::openapi::bodies::api::Amounts;
use crate::openapi::bodies::budgets::{BudgetChange, BudgetRequest};
use crate::state::AppState;

/// Most budgets beside those of the resource.
const MAX_BUDGETS: usize = 200;

/// Where a budget comes from, in the order in which they are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[schema(as = BudgetSource)]
pub enum Source {
    /// `spec.gateway.budgets` of the platform's resource.
    Resource,
    /// An administrator.
    Administrator,
}

/// A budget as it was set.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BudgetRule)]
pub struct Rule {
    /// Its name.
    name: String,
    /// `Platform`, `Group`, `User` or `APIKey`.
    #[schema(value_type = String)]
    scope: Scope,
    /// For whom of them; everybody, each by themself, when it is empty.
    names: Vec<String>,
    /// `Minute`, `Day` or `Month`.
    #[schema(value_type = String)]
    per: Period,
    /// Most within a window.
    #[schema(value_type = Amounts)]
    limits: Value,
    /// `Refuse` or `Warn`: what becomes of a question without a known price where money is limited.
    #[schema(value_type = String)]
    unknown_price: UnknownPrice,
    /// How full it is when it warns.
    warn_at_percent: i64,
    /// Where it comes from.
    source: Source,
    /// Whether it holds. One of an administrator does not while the resource has one of its name.
    active: bool,
}

impl Rule {
    /// Its place in the list. A name is there once of each source.
    fn place(&self) -> (Source, &str) {
        (self.source, self.name.as_str())
    }
}

fn rule(budget: &Budget, table: &Table, source: Source, active: bool) -> Rule {
    Rule {
        name: budget.name.clone(),
        scope: budget.scope,
        names: budget.names.clone(),
        per: budget.per,
        limits: amounts(&budget.limits, table, |_, limit| limit),
        unknown_price: budget.unknown_price,
        warn_at_percent: budget.warn_at_percent,
        source,
        active,
    }
}

/// One of an administrator, beside those of the resource.
fn made(budget: &Budget, table: &Table) -> Rule {
    let active = table.budget(&budget.name).is_none();
    rule(budget, table, Source::Administrator, active)
}

/// All budgets as they were set: first those of the resource, then those of administrators, each by
/// name.
///
/// # Errors
/// 400 for a bad or unknown parameter, 403 for everybody but administrators, 503 when the database is
/// away.
#[utoipa::path(
    get,
    path = "/api/admin/budgets",
    operation_id = "listBudgetRules",
    tag = "usage",
    params(
        ("limit" = Option<u32>, Query, description = "Budgets of a page, 1 to 1000; 1000 without it"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
    ),
    responses((status = 200, description = "A page", body = Page<Rule>)),
)]
pub async fn list(
    State(state): State<Arc<AppState>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<Rule>>, Failure> {
    let mut query = Parameters::parse(query.as_deref(), &["limit", "cursor"])?;
    let query = PageQuery::of(&mut query);
    let limit = query.wide_limit()?;
    let after = query.after::<(Source, String)>()?;
    let after = after
        .as_ref()
        .map(|(source, name)| (*source, name.as_str()));
    let stored = state.store.stored_budgets().await?;
    let table = state.budgets.of_file();
    let of_file = table.budgets.iter();
    let of_file = of_file.map(|budget| rule(budget, table, Source::Resource, true));
    let all = of_file.chain(stored.iter().map(|budget| made(budget, table)));
    // Nothing comes before a first page.
    let mut items: Vec<Rule> = all.filter(|rule| Some(rule.place()) > after).collect();
    items.sort_by(|one, other| one.place().cmp(&other.place()));
    Ok(Json(Page::of(items, limit, |rule| {
        (rule.source, rule.name.clone())
    })))
}

/// Makes a budget. It holds here at once and on other replicas within seconds; what was used before
/// does not count in it.
///
/// # Errors
/// 400 and 413 for a request that cannot be understood, 403 for everybody but administrators, 409
/// when there is a budget of that name or there are too many, 503 when the database is away.
#[utoipa::path(
    post,
    path = "/api/admin/budgets",
    operation_id = "createBudget",
    tag = "usage",
    request_body = BudgetRequest,
    responses(
        (status = 201, description = "The budget", body = Rule),
        (status = 409, description = "There is one of that name, or there are 200"),
        (status = 413, description = "The body is longer than 64 KiB"),
    ),
)]
pub async fn make(
    State(state): State<Arc<AppState>>,
    body: Body,
) -> Result<(StatusCode, Json<Rule>), Failure> {
    let body = body::read(body, MAX_BODY_BYTES).await?;
    let table = state.budgets.of_file();
    let budget = budget_request::parse(&body, table.has_prices())?;
    if table.budget(&budget.name).is_some() {
        return Err(taken(&budget.name));
    }
    if state.store.stored_budgets().await?.len() >= MAX_BUDGETS {
        let message = format!("there are {MAX_BUDGETS} budgets; remove one that is not needed");
        return Err(conflict("too_many_budgets", message));
    }
    if !state.store.insert_stored_budget(&budget).await? {
        return Err(taken(&budget.name));
    }
    tracing::info!(budget = budget.name, "an administrator made a budget");
    hold_now(&state).await;
    Ok((StatusCode::CREATED, Json(made(&budget, table))))
}

/// Replaces what a budget allows and for whom. Its name, scope and windows stay, and so does what is
/// used of it. What is left out is not limited, or as in a new budget.
///
/// # Errors
/// 400 and 413 for a request that cannot be understood, 403 for everybody but administrators, 404
/// when there is no such budget, 409 when it is the resource's, 503 when the database is away.
#[utoipa::path(
    put,
    path = "/api/admin/budgets/{id}",
    operation_id = "updateBudget",
    tag = "usage",
    params(("id" = String, Path, description = "Name of the budget")),
    request_body = BudgetChange,
    responses(
        (status = 200, description = "The budget", body = Rule),
        (status = 404, description = "There is no such budget"),
        (status = 409, description = "It is part of the platform's resource"),
        (status = 413, description = "The body is longer than 64 KiB"),
    ),
)]
pub async fn alter(
    State(state): State<Arc<AppState>>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<Rule>, Failure> {
    let body = body::read(body, MAX_BODY_BYTES).await?;
    let allowance = Allowance::parse(&body)?;
    let table = state.budgets.of_file();
    let stored = state.store.stored_budgets().await?;
    let known = stored.into_iter().find(|budget| budget.name == id);
    let known = known.ok_or_else(|| absent(&id, table))?;
    let prices = table.has_prices();
    let budget = allowance.budget(known.name, known.scope, known.per, prices)?;
    if !state.store.update_stored_budget(&budget).await? {
        return Err(absent(&id, table));
    }
    tracing::info!(budget = budget.name, "an administrator altered a budget");
    hold_now(&state).await;
    Ok(Json(made(&budget, table)))
}

/// Removes a budget with what is counted in it.
///
/// # Errors
/// 403 for everybody but administrators, 404 when there is no such budget, 409 when it is the
/// resource's, 503 when the database is away.
#[utoipa::path(
    delete,
    path = "/api/admin/budgets/{id}",
    operation_id = "deleteBudget",
    tag = "usage",
    params(("id" = String, Path, description = "Name of the budget")),
    responses(
        (status = 204, description = "It is removed"),
        (status = 404, description = "There is no such budget"),
        (status = 409, description = "It is part of the platform's resource"),
    ),
)]
pub async fn remove(
    State(state): State<Arc<AppState>>,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    let table = state.budgets.of_file();
    let own = table.budget(&id).is_none();
    // What no budget can be called is not looked for: PostgreSQL has no text for some of it.
    let is_gone =
        budget_request::is_name(&id) && state.store.delete_stored_budget(&id, own).await?;
    if !is_gone {
        return Err(absent(&id, table));
    }
    tracing::info!(budget = id, "an administrator removed a budget");
    hold_now(&state).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Holds to what was changed. Should that fail, it is done in the background a little later: the
/// change itself is made.
async fn hold_now(state: &AppState) {
    if let Err(error) = state.budgets.refresh(&state.store).await {
        tracing::warn!(
            error = chain(&error),
            "a changed budget holds a little later"
        );
    }
}

fn taken(name: &str) -> Failure {
    let message = format!("there is a budget {name:?}; choose another name, or alter that one");
    let mut failure = conflict("budget_exists", message);
    failure.param = Some("name".to_owned());
    failure
}

/// Why a budget cannot be changed here that no administrator made.
fn absent(name: &str, table: &Table) -> Failure {
    if table.budget(name).is_none() {
        return Failure::not_found("budget");
    }
    let message = format!(
        "budget {name:?} is part of the platform's resource; change spec.gateway.budgets there"
    );
    conflict("budget_of_resource", message)
}

fn conflict(code: &'static str, message: String) -> Failure {
    Failure::new(StatusCode::CONFLICT, code, message)
}
