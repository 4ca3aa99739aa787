"""The summary says what a person asks on Monday: what was decided, did it hold, and what is at stake."""

from commands.summary import summarise


def said(baton, capsys):
    summarise(baton.resources["warehouse"], baton.resources["registry"])
    return " ".join(capsys.readouterr().out.split())


def test_the_week_is_told_with_its_decision_and_what_is_at_stake(mine, capsys):
    text = said(mine, capsys)
    decision, reason = mine.read("select decision, reason from monitoring.why order by cutoff desc limit 1")[0]
    assert f"{decision} (judged 2018-01-01): {reason}" in text
    assert "what was served has no known outcome yet" in text
    customers, expected, spent = mine.read(
        "select count(*), sum(score), sum(spend_cents_84d) / 100 from marts.customers_at_risk where risk_band = 'high'"
    )[0]
    assert f"at risk: the {customers:,} customers most at risk, of whom {expected:,.0f} are expected to lapse" in text
    assert f"they spent USD {spent:,.0f} in the last 84 days" in text


def test_what_served_predictions_came_to_stands_beside_the_rule_that_needs_no_model(mine, capsys):
    with mine.resources["warehouse"].connect(read_only=False) as connection:
        connection.execute(
            "insert into marts.accuracy_over_time by name select 'live' as evidence, * exclude (evidence) "
            "from marts.accuracy_over_time where evidence = 'holdout' order by cutoff_date desc limit 1"
        )
    day, customers, auc, rule, score, rate = mine.read(
        "select cutoff_date, customers, auc, recency_rule_auc, mean_score, base_rate from marts.accuracy_over_time "
        "where evidence = 'live'"
    )[0]
    assert (
        f"held: {customers:,} customers scored for {day:%Y-%m-%d}, AUC {auc:.3f} (recency rule {rule:.3f}); "
        f"{score:.1%} were expected to lapse, {rate:.1%} did"
    ) in said(mine, capsys)


def test_after_a_first_training_the_summary_says_what_is_not_there_yet(mine, capsys):
    with mine.resources["warehouse"].connect(read_only=False) as connection:
        for table in ("monitoring.why", "marts.accuracy_over_time", "marts.customers_at_risk"):
            connection.execute(f"drop table {table}")
        connection.execute("drop table predictions.lapse_predictions")
    text = said(mine, capsys)
    assert "no week has been judged yet" in text
    assert "what was served has no known outcome yet" in text
    assert text.count("nothing was scored yet") == 2
