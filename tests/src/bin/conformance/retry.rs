//! retry.json: attempts, waits and quota, the rate of the adaptive mode, which errors are retried, and the clock.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use s3_proto::ops::DeleteBucket;
use s3_proto::retry::{
    ClientRate, Cubic, RetryConfig, RetryHint, RetryQuota, RetryReason, RetrySpec, RetryStrategy,
    RetryVerdict, backoff,
};
use s3_proto::skew::ClockSkew;
use s3_proto::{Call, Error, Instant, Session, Timestamp, TransportError, TransportErrorKind};
use serde_json::Value;

use crate::List;
use crate::drive::{Reply, Response, config, script, session};
use crate::tally::{Outcome, Tally, Verdict, fail, items, number, same, skip, text};

pub(crate) const LISTS: &[List] = &[
    ("retry.json", "constants", |table| Tally::table(table, constants)),
    ("retry.json", "standard", |cases| Tally::of(cases, standard)),
    ("retry.json", "multi_threaded", |cases| Tally::of(cases, multi_threaded)),
    ("retry.json", "adaptive_cubic", |cases| Tally::of(cases, adaptive_cubic)),
    ("retry.json", "adaptive_end_to_end", adaptive_end_to_end),
    ("retry.json", "classification", |cases| Tally::of(cases, classification)),
    ("retry.json", "error_code_lists", error_code_lists),
    ("retry.json", "retry_after", |cases| Tally::of(cases, retry_after)),
    ("retry.json", "backoff_v2_1", |cases| Tally::of(cases, backoff_v2_1)),
    ("retry.json", "clock_skew", clock_skew),
    ("retry.json", "amz_sdk_request_header", |cases| Tally::of(cases, amz_sdk_request_header)),
];

/// `constants`: a table for each version, and remarks.
fn constants(name: &str, table: &Value) -> Outcome {
    let Some(spec) = spec_of(name) else {
        return Err(skip("a remark, not a table of constants"));
    };
    let config = RetryConfig::default();
    let seconds = |reason| spec.base(reason).as_secs_f64();
    let cost = |reason| f64::from(spec.cost(reason));
    let got = [
        ("capacity", f64::from(RetryQuota::CAPACITY)),
        ("retry_cost", cost(RetryReason::Transient)),
        ("timeout_retry_cost", cost(RetryReason::Timeout)),
        ("throttling_retry_cost", cost(RetryReason::Throttling)),
        ("base_s", seconds(RetryReason::Transient)),
        ("throttling_base_s", seconds(RetryReason::Throttling)),
        ("max_backoff_s", config.max_backoff.as_secs_f64()),
        ("default_max_attempts", f64::from(config.max_attempts)),
        ("success_without_retry_refund", refund(spec)),
    ];
    for (name, got) in got {
        if let Some(expected) = table[name].as_f64() {
            close(name, expected, got)?;
        }
    }
    Ok(())
}

/// What a call that needed no retry gives to the quota.
fn refund(spec: RetrySpec) -> f64 {
    let mut quota = RetryQuota::new(0);
    let mut call = RetryStrategy::new(config_of(spec));
    call.begin();
    call.succeeded(&mut quota);
    f64::from(quota.left())
}

/// `standard[]`: one call, step by step.
fn standard(case: &Value) -> Outcome {
    let polls = case["given"]["long_polling"].as_bool() == Some(true);
    let delays_failure =
        |step: &Value| step["outcome"] == "retry_quota_exceeded" && step["delay_s"].as_f64() > Some(0.0);
    if polls && items(case, "steps").iter().any(delays_failure) {
        return Err(skip("long_polling with a delay before the failure: S3 has no operation that polls"));
    }
    if let Some(service) = case["given"]["service"].as_str().filter(|s| !polls && *s != "s3") {
        return Err(skip(format!("service = {service}: has rules of its own")));
    }
    let mut quota = given_quota(case)?;
    let mut call = RetryStrategy::new(given_config(case)?);
    for (index, step) in items(case, "steps").iter().enumerate() {
        take(step, &mut call, &mut quota).map_err(|verdict| in_step(index, verdict))?;
    }
    Ok(())
}

/// One attempt of a call and what it leads to.
fn take(step: &Value, call: &mut RetryStrategy, quota: &mut RetryQuota) -> Outcome {
    call.begin();
    let headers = headers(&step["headers"])?;
    let outcome = match error_of(step, &headers)? {
        None => {
            call.succeeded(quota);
            "success"
        }
        Some(error) => {
            let hint = RetryHint::from_headers(&headers);
            // The tables fix what is random to its longest.
            match call.failed(quota, RetryReason::of(&error), hint, 1.0) {
                RetryVerdict::Retry { wait } => {
                    if let Some(expected) = step["delay_s"].as_f64() {
                        close("delay_s", expected, wait.as_secs_f64())?;
                    }
                    "retry_request"
                }
                RetryVerdict::NotRetryable => "fail_request",
                RetryVerdict::AttemptsExhausted => "max_attempts_exceeded",
                RetryVerdict::QuotaExhausted => "retry_quota_exceeded",
            }
        }
    };
    same("outcome", text(step, "outcome")?, outcome)?;
    match step["retry_quota"].as_u64() {
        Some(expected) => same("retry_quota", &expected, &u64::from(quota.left())),
        None => Ok(()),
    }
}

/// `multi_threaded[]`: calls that share a quota. In which order their steps come is not said, so that there must
/// be one order that gives all the figures.
fn multi_threaded(case: &Value) -> Outcome {
    let config = given_config(case)?;
    let threads: Vec<&[Value]> =
        items(case, "threads").iter().map(|t| t.as_array().map_or(&[][..], Vec::as_slice)).collect();
    let calls = vec![(0, RetryStrategy::new(config)); threads.len()];
    let last = case["expected_final_quota"].as_u64();
    if interleave(&threads, &calls, &given_quota(case)?, last) {
        return Ok(());
    }
    Err(fail("an order of the steps that gives these figures", "none"))
}

fn interleave(
    threads: &[&[Value]],
    calls: &[(usize, RetryStrategy)],
    quota: &RetryQuota,
    last: Option<u64>,
) -> bool {
    let mut all_over = true;
    for (index, (thread, (next, call))) in threads.iter().zip(calls).enumerate() {
        let Some(step) = thread.get(*next) else { continue };
        all_over = false;
        let (mut call, mut quota) = (call.clone(), quota.clone());
        if take(step, &mut call, &mut quota).is_ok() {
            let mut calls = calls.to_vec();
            calls[index] = (next + 1, call);
            if interleave(threads, &calls, &quota, last) {
                return true;
            }
        }
    }
    all_over && last.is_none_or(|last| last == u64::from(quota.left()))
}

/// `adaptive_cubic[]`: how the rate falls and grows.
fn adaptive_cubic(case: &Value) -> Outcome {
    if case["model_agrees"].as_bool() == Some(false) {
        return Err(skip(
            "model_agrees = false: contradicts another published row, which AWS's production code follows",
        ));
    }
    let given = &case["given"];
    let mut cubic = Cubic::new(float(given, "last_max_rate")?, at(float(given, "last_throttle_time")?));
    let mut rate = 0.0;
    for step in items(case, "cases") {
        let now = at(float(step, "timestamp")?);
        rate = if is_throttle(step)? { cubic.throttled(now, rate) } else { cubic.succeeded(now) };
        close("calculated_rate", float(step, "calculated_rate")?, rate)?;
    }
    Ok(())
}

/// `adaptive_end_to_end`: one client, answer after answer.
fn adaptive_end_to_end(table: &Value) -> Tally {
    let mut tally = Tally::default();
    let mut rate = ClientRate::new();
    for (index, step) in items(table, "cases").iter().enumerate() {
        tally.count(&format!("cases {index}"), adaptive_step(step, &mut rate));
    }
    tally
}

fn adaptive_step(step: &Value, rate: &mut ClientRate) -> Outcome {
    rate.answered(at(float(step, "timestamp")?), is_throttle(step)?);
    close("measured_tx_rate", float(step, "measured_tx_rate")?, rate.measured())?;
    close("new_token_bucket_rate", float(step, "new_token_bucket_rate")?, rate.rate())
}

/// `classification[]`: whether an answer is retried, and why.
fn classification(case: &Value) -> Outcome {
    let reason = error_of(case, &HeaderMap::new())?.as_ref().and_then(RetryReason::of);
    same("retryable", &case["retryable"].as_bool(), &Some(reason.is_some()))?;
    match case["kind"].as_str() {
        None => Ok(()),
        Some(kind) => same("kind", kind, reason.map_or("none", kind_of)),
    }
}

/// `error_code_lists`: codes and statuses, each by itself.
fn error_code_lists(table: &Value) -> Tally {
    let mut tally = Tally::default();
    let expect = |status: u64, code: &str, kind: &str| -> Outcome {
        let error = answered(status, code, &HeaderMap::new())?;
        same("kind", kind, error.as_ref().and_then(RetryReason::of).map_or("none", kind_of))
    };
    for (list, kind) in [("throttling", "throttling"), ("transient_codes", "transient")] {
        for code in items(table, list).iter().filter_map(Value::as_str) {
            tally.count(&format!("{list} {code}"), expect(400, code, kind));
        }
    }
    for status in items(table, "transient_statuses").iter().filter_map(Value::as_u64) {
        tally.count(&format!("transient_statuses {status}"), expect(status, "", "transient"));
    }
    for (source, codes) in table["s3_extra"].as_object().into_iter().flatten() {
        for entry in codes.as_array().into_iter().flatten().filter_map(Value::as_str) {
            // A code, and behind it in brackets its status or a remark.
            let (code, note) = entry.split_once(" (").unwrap_or((entry, ""));
            let status = note.trim_end_matches(')').parse().unwrap_or(200);
            tally.count(&format!("{source} {code}"), expect(status, code, "transient"));
        }
    }
    for (list, definite) in [("clock_skew_definite", true), ("clock_skew_possible", false)] {
        for code in items(table, list).iter().filter_map(Value::as_str) {
            tally.count(&format!("{list} {code}"), skew_code(code, definite));
        }
    }
    tally
}

/// A code that says that the clock is off explains itself; one that may come from it needs a difference.
fn skew_code(code: &str, definite: bool) -> Outcome {
    let Some(error) = answered(403, code, &HeaderMap::new())? else { return Err(fail("an error", "none")) };
    let same_time = ClockSkew::default().explains(&error);
    let hour_off = ClockSkew::between(Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH.saturating_add(HOUR));
    same("explained (without, with an hour)", &(definite, true), &(same_time, hour_off.explains(&error)))
}

const HOUR: Duration = Duration::from_hours(1);

/// `retry_after[]`: what the service may ask for.
fn retry_after(case: &Value) -> Outcome {
    let mut headers = HeaderMap::new();
    headers.insert("x-amz-retry-after", value(text(case, "header")?)?);
    let hint = RetryHint::from_headers(&headers);
    let attempt = u32_of(number(case, "attempt")?)?;
    let wait = backoff(&RetryConfig::default(), RetryReason::Transient, attempt, 1.0, hint);
    close("delay_s", float(case, "delay_s")?, wait.as_secs_f64())
}

/// `backoff_v2_1[]`: the longest wait after each attempt.
fn backoff_v2_1(case: &Value) -> Outcome {
    let attempt = u32_of(number(case, "attempt")?)?;
    let wait = backoff(&config_of(RetrySpec::V2_1), RetryReason::Transient, attempt, 1.0, None);
    close("delay_s", float(case, "delay_s")?, wait.as_secs_f64())
}

/// `clock_skew`: both clocks and a code.
fn clock_skew(table: &Value) -> Tally {
    let mut tally = Tally::default();
    let threshold = table["threshold_s"].as_f64();
    if let Some(expected) = threshold {
        tally.count("threshold_s", close("threshold_s", expected, ClockSkew::THRESHOLD.as_secs_f64()));
    }
    for (index, case) in items(table, "cases").iter().enumerate() {
        tally.count(&format!("cases {index}"), skew_case(case));
    }
    tally
}

fn skew_case(case: &Value) -> Outcome {
    let time = |name| {
        let text = text(case, name)?;
        Timestamp::parse(text).ok_or_else(|| fail(format!("a time {name:?}"), text))
    };
    let (client, server) = (time("client")?, time("server")?);
    let mut headers = HeaderMap::new();
    headers.insert("date", value(&server.http_date())?);
    let error = answered(400, text(case, "error_code")?, &HeaderMap::new())?;
    let skew = ClockSkew::from_answer(client, client, &headers);
    let skew = skew.filter(|skew| error.as_ref().is_some_and(|error| skew.explains(error)));
    same("skewed", &case["skewed"].as_bool(), &Some(skew.is_some()))?;
    match case["skew_s"].as_i64() {
        Some(expected) => same("skew_s", &Some(expected), &skew.map(ClockSkew::as_secs)),
        None => Ok(()),
    }
}

/// `amz_sdk_request_header[]`: the answers of the attempts, and the header of each request.
fn amz_sdk_request_header(case: &Value) -> Outcome {
    let session = Session::new(config()?.with_max_attempts(u32_of(number(case, "max")?)?));
    let statuses = items(case, "attempts").iter().filter_map(Value::as_u64);
    let replies: Result<Vec<Reply>, Verdict> = statuses.map(|s| answer(s, "", &HeaderMap::new())).collect();
    let run = script(Call::new(session, DeleteBucket::new("bucket")), replies?)?;
    let sent: Vec<Option<&str>> = run.requests.iter().map(request_info).collect();
    let expected: Vec<Option<&str>> = items(case, "headers").iter().map(Value::as_str).collect();
    same("headers", &expected, &sent)
}

fn request_info(headers: &HeaderMap) -> Option<&str> {
    headers.get("amz-sdk-request")?.to_str().ok()
}

/// The error of a step or case: `status` and `error_code`; `None` if it is none.
fn error_of(case: &Value, headers: &HeaderMap) -> Result<Option<Error>, Verdict> {
    let code = case["error_code"].as_str().unwrap_or_default();
    match (case["status"].as_u64(), code) {
        (Some(status), code) => answered(status, code, headers),
        (None, code) if code.starts_with("<io error") => {
            let kind = if code.contains("timeout") {
                TransportErrorKind::Timeout
            } else {
                TransportErrorKind::Closed
            };
            once(Reply::Failed(TransportError::new(kind, "broken")))
        }
        (None, _) => Err(fail("a status, or an I/O error", case.to_string())),
    }
}

/// What a call comes to that gets this answer and may not be repeated.
fn answered(status: u64, code: &str, headers: &HeaderMap) -> Result<Option<Error>, Verdict> {
    once(answer(status, code, headers)?)
}

fn once(reply: Reply) -> Result<Option<Error>, Verdict> {
    Ok(script(Call::new(session()?, DeleteBucket::new("bucket")), vec![reply])?.result.err())
}

/// An answer with this status, and a code if there is one.
fn answer(status: u64, code: &str, headers: &HeaderMap) -> Result<Reply, Verdict> {
    let status = u16::try_from(status).map_err(|_| fail("a status", status.to_string()))?;
    let body = if code.is_empty() { String::new() } else { format!("<Error><Code>{code}</Code></Error>") };
    let mut response = Response::new(status, &[], &body)?;
    response.head.headers = headers.clone();
    Ok(Reply::Answered(response))
}

fn headers(table: &Value) -> Result<HeaderMap, Verdict> {
    let mut headers = HeaderMap::new();
    for (name, text) in table.as_object().into_iter().flatten() {
        let name = HeaderName::try_from(name).map_err(|e| fail("a header", e.to_string()))?;
        headers.insert(name, value(text.as_str().unwrap_or_default())?);
    }
    Ok(headers)
}

fn value(text: &str) -> Result<HeaderValue, Verdict> {
    HeaderValue::from_str(text).map_err(|e| fail("a header", e.to_string()))
}

fn spec_of(name: &str) -> Option<RetrySpec> {
    match name {
        "2.0" => Some(RetrySpec::V2_0),
        "2.1" => Some(RetrySpec::V2_1),
        _ => None,
    }
}

fn config_of(spec: RetrySpec) -> RetryConfig {
    let mut config = RetryConfig::default();
    config.spec = spec;
    config
}

/// The configuration of a case. What is random, and the power by which waits grow, are not to be configured.
fn given_config(case: &Value) -> Result<RetryConfig, Verdict> {
    let given = &case["given"];
    let version = text(case, "spec")?;
    let mut config = config_of(spec_of(version).ok_or_else(|| skip(format!("spec = {version}: not known")))?);
    if given["exponential_power"].as_f64().is_some_and(|power| (power - 2.0).abs() > 1e-9) {
        return Err(skip("exponential_power: waits always double"));
    }
    if given["exponential_base"].as_f64().is_some_and(|base| (base - 1.0).abs() > 1e-9) {
        return Err(skip("exponential_base: the longest wait is compared, which is at 1"));
    }
    if let Some(attempts) = given["max_attempts"].as_u64() {
        config.max_attempts = u32_of(attempts)?;
    }
    if let Some(most) = given["max_backoff_time"].as_f64() {
        config.max_backoff = Duration::try_from_secs_f64(most).map_err(|e| fail("a time", e.to_string()))?;
    }
    Ok(config)
}

fn given_quota(case: &Value) -> Result<RetryQuota, Verdict> {
    let tokens = case["given"]["initial_retry_tokens"].as_u64();
    tokens.map_or(Ok(RetryQuota::CAPACITY), u32_of).map(RetryQuota::new)
}

/// What the tables call it: they know no reason of its own for time-outs.
fn kind_of(reason: RetryReason) -> &'static str {
    if reason == RetryReason::Throttling { "throttling" } else { "transient" }
}

fn is_throttle(step: &Value) -> Result<bool, Verdict> {
    match text(step, "response")? {
        "throttle" => Ok(true),
        "success" => Ok(false),
        other => Err(fail("success or throttle", other)),
    }
}

fn float(case: &Value, name: &str) -> Result<f64, Verdict> {
    case[name].as_f64().ok_or_else(|| fail(format!("a case with the number {name:?}"), "none"))
}

fn u32_of(number: u64) -> Result<u32, Verdict> {
    u32::try_from(number).map_err(|_| fail("a small number", number.to_string()))
}

fn at(seconds: f64) -> Instant {
    Instant::from_origin(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

/// The tables round to the sixth digit.
fn close(what: &str, expected: f64, got: f64) -> Outcome {
    if (expected - got).abs() <= 1e-6 * expected.abs().max(1.0) {
        return Ok(());
    }
    Err(fail(format!("{what} {expected}"), got.to_string()))
}

fn in_step(index: usize, verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Fail { expected, got } => fail(format!("in step {index} {expected}"), got),
        skip @ Verdict::Skip(_) => skip,
    }
}
