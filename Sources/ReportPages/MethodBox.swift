import Statistics

/// How the figures were found, and what they cannot say, for somebody who was not there.
struct MethodBox {
  let material: PageMaterial
  private var report: EvaluationReport { material.report }

  func write(to out: inout PageText) {
    out.words("h3", "What counts")
    out.paragraph(sentence(report.options.convention.words))
    out.paragraph(labels)
    out.paragraph(
      "An alert's time is when people were told of it; what was suppressed, and rules in shadow, are no alerts. Patient-days "
        + "are the sum of records, each from the first sample to the last plus one interval between samples.")
    out.words("h3", "How sure")
    out.paragraph(
      "Alerts of one patient repeat each other, so whole patients are drawn again \(report.options.resamples) times (seed "
        + "\(report.options.seed)); BCa bounds are corrected for bias and skewness. Where every patient gives one answer the "
        + "intervals are Wilson's; of exactly nothing or all they are exact. Each figure names its own. Intervals are of "
        + "95 %.")
    out.words("h3", "Chance")
    out.list(chance)
    out.words("h3", "What this page cannot say")
    out.list(limits)
    out.words("h3", "To make it again")
    out.element("dl") { list in
      for (name, value) in [
        ("Data", report.dataDigest), ("Rules", report.rulesVersion), ("Seed", "\(report.options.seed)"),
        ("Resamples", "\(report.options.resamples)"), ("Program", material.subject.program),
        ("Recording", material.subject.recording),
      ] where !value.isEmpty {
        list.words("dt", name)
        list.words("dd", value)
      }
    }
  }

  private func sentence(_ words: String) -> String { words.prefix(1).uppercased() + words.dropFirst() + "." }

  private var labels: String {
    let left = report.exclusions
    let reasons = [
      (left.unknownPatient, "of nobody in the recording"), (left.beforeFirstSample, "before the first sample"),
      (left.afterRecord, "after the record"), (left.inCensored, "in a censored stretch"), (left.tooShort, "too short"),
    ].filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }
    return "Events are labels of the kind \(report.kinds.joined(separator: ", "))."
      + (reasons.isEmpty ? "" : " Left out: \(reasons.joined(separator: ", ")).")
      + (left.merged > 0 ? " \(left.merged) became part of another event." : "")
  }

  private var chance: [String] {
    var lines = [
      "Rotated: the same alerts, each patient's stay turned like a ring by a random whole number of sample intervals. It "
        + "keeps how many alerts there are and how they cluster."
        + (report.total.chance.rotation.map {
          " In \($0.count) rotations, rotated alerts did at least as well in a share of "
            + "\(FigureStyle.share.text($0.asGood))."
        } ?? ""),
      "The best clock: alerts at fixed hours of the stay for everybody still there, with no measurement at all. It is chosen "
        + "on these very events, which flatters it.",
      "Matched controls: for each event patients without one who were still there at the same hour of the stay. The margin "
        + "is sensitivity less their share with an alert in the same hours.",
    ]
    if report.total.chance.unmatched > 0 {
      lines.append(
        "\(report.total.chance.unmatched) events have no control, nobody stayed as long: they are not in the margin.")
    }
    return lines
  }

  private var limits: [String] {
    [
      "Labels are somebody's judgement, and figures on one recording are figures on that recording.",
      "Rules chosen by looking at these figures look better here than they will turn out. Judge them on other patients.",
      "Nothing is corrected for looking often: of twenty rules or groups one looks good by chance.",
      "What people would have done about an alert, and whether it would have helped, is in no recording.",
    ]
      + (report.total.patients < 10
        ? ["From fewer than ten patients resampling is too sure of itself: take the intervals as too narrow."] : [])
  }
}
