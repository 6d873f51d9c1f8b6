import Statistics

/// What each suppression stage keeps from people, and what it keeps from being found.
struct StageChart {
  let material: PageMaterial

  func write(to out: inout PageText) {
    let total = material.report.total
    let burden = total.alerts.perPatientDay?.value ?? 0
    out.paragraph(
      "The same recording without one stage at a time: how many more alerts there would be, and whether anything more would "
        + "be found. A stage that costs sensitivity and saves little should go. Stages hold for each other, so the "
        + "differences do not add up.")
    let found = total.events.sensitivity?.value
    let base = [
      "all stages on", "–", "\(total.alerts.count)", "–", FigureStyle.number.text(burden), "–",
      "\(total.events.detected)", FigureStyle.share.text(total.events.sensitivity), "–",
    ]
    let rows = material.stages.map { stage in
      [
        "without \(stage.stage)", "\(stage.heldRows)", "\(stage.alerts)", signed(stage.alerts - total.alerts.count),
        FigureStyle.number.text(stage.burden), FigureStyle.signedNumber.text(stage.burden - burden),
        "\(stage.detected)", stage.sensitivity.map { FigureStyle.share.text($0) } ?? "–",
        stage.sensitivity.flatMap { value in found.map { FigureStyle.signed.text(value - $0) } } ?? "–",
      ]
    }
    out.element("figure") { figure in
      figure.words("h3", "Alerts per patient-day without each stage")
      figure.raw(svg(burden))
      figure.words(
        "figcaption", "The upright line is the burden with all stages on; bars reach to the burden without one.")
      figure.table(
        "Stages switched off one at a time",
        head: ["", "Held", "Alerts", "More", "A day", "More", "Detected", "Sensitivity", "More"], rows: [base] + rows)
    }
  }

  private func signed(_ count: Int) -> String { count > 0 ? "+\(count)" : "\(count)" }

  /// One bar a stage, lying, each with its name and number.
  private func svg(_ burden: Double) -> String {
    func p(_ value: Double) -> String { PageNumbers.place(value) }
    let scale = AxisScale(through: material.stages.map(\.burden) + [burden])
    let (left, right, step) = (112.0, 380.0, 24.0)
    let height = step * Double(material.stages.count) + 16
    func across(_ value: Double) -> Double { left + scale.place(value) * (right - left) }
    var text = "<svg class=\"chart\" viewBox=\"0 0 440 \(p(height))\" role=\"img\" "
    text +=
      "aria-labelledby=\"stages-t stages-d\">\n<title id=\"stages-t\">Alerts per patient-day without each stage</title>\n"
    let words = material.stages.map { "without \($0.stage) \(FigureStyle.number.text($0.burden))" }
    let summary = "With all stages \(FigureStyle.number.text(burden)); " + words.joined(separator: ", ") + "."
    text += "<desc id=\"stages-d\">\(PageText.escaped(summary))</desc>\n"
    for (index, stage) in material.stages.enumerated() {
      let top = 10 + step * Double(index)
      let ends = (across(min(burden, stage.burden)), across(max(burden, stage.burden)))
      text +=
        "<text x=\"\(p(left - 8))\" y=\"\(p(top + 13))\" text-anchor=\"end\">\(PageText.escaped(stage.stage))</text>"
      text += "<rect class=\"bar \(Ink.main.rawValue)\" x=\"\(p(ends.0))\" y=\"\(p(top + 1))\" "
      text += "width=\"\(p(max(1, ends.1 - ends.0)))\" height=\"15\"/>"
      text += "<text x=\"\(p(ends.1 + 6))\" y=\"\(p(top + 13))\">\(FigureStyle.number.text(stage.burden))</text>\n"
    }
    text += "<path class=\"line thin \(Ink.other.rawValue)\" d=\"M\(p(across(burden))) 4V\(p(height - 4))\"/>\n"
    return text + "</svg>\n"
  }
}
