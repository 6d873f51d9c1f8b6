import Statistics
import VitalModel

/// Rates of one setting's windows; nil where there is nothing to divide by.
struct WindowRates: Hashable {
  var truePositiveRate: Double
  var falsePositiveRate: Double
  /// nil: no window has an alert.
  var precision: Double?

  /// - Returns: nil without windows that hold an event, or without those that hold none.
  init?(_ counts: OperatingPoint.WindowCounts) {
    let positives = counts.truePositives + counts.falseNegatives
    let negatives = counts.falsePositives + counts.trueNegatives
    guard positives > 0, negatives > 0 else { return nil }
    truePositiveRate = Double(counts.truePositives) / Double(positives)
    falsePositiveRate = Double(counts.falsePositives) / Double(negatives)
    let alerted = counts.truePositives + counts.falsePositives
    precision = alerted > 0 ? Double(counts.truePositives) / Double(alerted) : nil
  }
}

/// ROC, precision and recall, and DET over windows of fixed length.
struct WindowCharts {
  let material: PageMaterial
  private let points: [(point: OperatingPoint, rates: WindowRates)]

  init(_ material: PageMaterial) {
    self.material = material
    points = BurdenCharts(material: material).drawn(\.burden).compactMap { point in
      WindowRates(point.windows).map { (point, $0) }
    }
  }

  func write(to out: inout PageText) {
    guard !points.isEmpty else {
      return out.paragraph("There are no windows both with and without an event to compare.")
    }
    let length = DurationText.format(material.report.options.convention.window)
    out.paragraph(
      "Windows of \(length), counted from each patient's first sample: with an event or without, with an alert or without. "
        + "Rates over windows depend on their length and on how much quiet time there is: compare them only with "
        + "themselves, and judge rules by the drawings above."
        + (points.count == 1 ? " One setting was run, so each curve is one point." : ""))
    out.element("div", "class=\"charts\"") {
      writeROC(to: &$0)
      writePR(to: &$0)
      writeDET(to: &$0)
    }
  }

  private var legend: [LegendEntry] {
    var entries = [LegendEntry(.mark(.diamond, .main), material.chosenWord)]
    if points.contains(where: { $0.point.isToday && !$0.point.isChosen }) {
      entries.append(LegendEntry(.mark(.square, .other), "today's rules"))
    }
    if points.count > 1 { entries.append(LegendEntry(.hollow(.circle, .plain), "other settings tried")) }
    return entries
  }

  private func marks(in chart: inout Chart, _ place: (WindowRates) -> (x: Double, y: Double)?) {
    for (point, rates) in points.sorted(by: { rank($0.point) < rank($1.point) }) {
      guard let (x, y) = place(rates) else { continue }
      let words = "\(point.name): \(FigureStyle.share.text(x)), \(FigureStyle.share.text(y))"
      if point.isChosen {
        chart.mark(.diamond, x: x, y: y, .main, size: 5, title: words, label: material.chosenWord)
      } else if point.isToday {
        chart.mark(.square, x: x, y: y, .other, title: words, label: "today", isBelow: true)
      } else {
        chart.mark(.circle, x: x, y: y, .plain, size: 2.5, isHollow: true, title: words)
      }
    }
  }

  private func rank(_ point: OperatingPoint) -> Int { point.isChosen ? 2 : point.isToday ? 1 : 0 }

  private func rows(_ cells: (WindowRates) -> [String]) -> [[String]] {
    let listed = points.count <= BurdenCharts.rowsMax ? points : points.filter { !$0.point.role.isEmpty }
    return listed.prefix(BurdenCharts.rowsMax).map { [$0.point.name, $0.point.role] + cells($0.rates) }
  }

  // MARK: ROC

  private func writeROC(to out: inout PageText) {
    var chart = Chart(
      id: "roc", title: "ROC over windows",
      summary: summary {
        "\(FigureStyle.share.text($0.truePositiveRate)) of windows with an event have an alert, and "
          + "\(FigureStyle.share.text($0.falsePositiveRate)) of those without one."
      },
      x: .share, "windows without an event that have an alert", y: .share, "windows with an event, found")
    chart.line([(0, 0), (1, 1)], .chance, isDashed: true)
    if points.count > 1 {
      chart.line(WindowCharts.hull(points.map { ($0.rates.falsePositiveRate, $0.rates.truePositiveRate) }), .main)
    }
    marks(in: &chart) { ($0.falsePositiveRate, $0.truePositiveRate) }
    var entries = legend + [LegendEntry(.line(.chance, isDashed: true), "chance: alerts that fall anywhere")]
    if points.count > 1 {
      entries.append(LegendEntry(.line(.main, isDashed: false), "hull: the best, and mixtures of it"))
    }
    out.figure(
      chart, reading: "Up and to the left is better.", legend: entries,
      head: ["Setting", "Role", "False positive rate", "True positive rate"],
      rows: rows { [FigureStyle.share.text($0.falsePositiveRate), FigureStyle.share.text($0.truePositiveRate)] })
  }

  /// From nothing to everything, by way of the points no mixture of two others is above: the upper convex hull.
  static func hull(_ points: [(x: Double, y: Double)]) -> [(x: Double, y: Double)] {
    let sorted = ([(0, 0), (1, 1)] + points).sorted { ($0.x, $0.y) < ($1.x, $1.y) }
    var hull: [(x: Double, y: Double)] = []
    for point in sorted {
      while hull.count > 1 {
        let (a, b) = (hull[hull.count - 2], hull[hull.count - 1])
        let turn = (b.x - a.x) * (point.y - a.y) - (b.y - a.y) * (point.x - a.x)
        guard turn >= 0 else { break }
        hull.removeLast()
      }
      hull.append(point)
    }
    return hull
  }

  // MARK: Precision and recall

  private func writePR(to out: inout PageText) {
    let windows = material.report.total.windows
    let positives = windows.truePositives + windows.falseNegatives
    let all = positives + windows.falsePositives + windows.trueNegatives
    let share = all > 0 ? Double(positives) / Double(all) : 0
    let precisions = points.compactMap(\.rates.precision)
    let scale = AxisScale(
      through: precisions.map { $0 * 1.15 } + [share], text: { PageNumbers.short($0 * 100) + "\u{A0}%" })
    var chart = Chart(
      id: "pr", title: "Precision and recall over windows",
      summary: summary {
        "\(FigureStyle.share.text($0.truePositiveRate)) of windows with an event have an alert, and "
          + "\($0.precision.map { FigureStyle.share.text($0) } ?? "none") of alerted windows hold an event."
      } + " Of all windows "
        + "\(FigureStyle.share.text(share)) hold an event.",
      x: .share, "windows with an event, found (recall)", y: scale, "alerted windows that hold one")
    chart.line([(0, share), (1, share)], .chance, isDashed: true)
    chart.line(WindowCharts.staircase(points.map(\.rates)), .main)
    marks(in: &chart) { rates in rates.precision.map { (rates.truePositiveRate, $0) } }
    var entries = legend + [LegendEntry(.line(.chance, isDashed: true), "chance: the share of windows with an event")]
    if points.count > 1 { entries.append(LegendEntry(.line(.main, isDashed: false), "no setting is better in both")) }
    out.figure(
      chart, reading: "Up and to the right is better.", legend: entries,
      head: ["Setting", "Role", "Recall", "Precision"],
      rows: rows {
        [FigureStyle.share.text($0.truePositiveRate), $0.precision.map { FigureStyle.share.text($0) } ?? "–"]
      })
  }

  /// Points no other is better than in both, by recall.
  static func staircase(_ rates: [WindowRates]) -> [(x: Double, y: Double)] {
    let known = rates.compactMap { rate in rate.precision.map { (x: rate.truePositiveRate, y: $0) } }
    var best = -1.0
    var line: [(x: Double, y: Double)] = []
    for point in known.sorted(by: { ($1.x, $1.y) < ($0.x, $0.y) }) where point.y > best {
      best = point.y
      line.append(point)
    }
    return line.reversed()
  }

  // MARK: DET

  private func writeDET(to out: inout PageText) {
    // Nothing and all lie at no distance a normal distribution has.
    let placed = points.filter { point, rates in
      (rates.falsePositiveRate > 0 && rates.falsePositiveRate < 1)
        && (rates.truePositiveRate > 0 && rates.truePositiveRate < 1)
    }
    guard !placed.isEmpty else { return }
    var chart = Chart(
      id: "det", title: "DET over windows",
      summary: summary {
        "\(FigureStyle.share.text(1 - $0.truePositiveRate)) of windows with an event have no alert, and "
          + "\(FigureStyle.share.text($0.falsePositiveRate)) of those without one have one."
      }
        + " Both axes are stretched as the normal distribution is.",
      x: AxisScale(deviate: placed.map(\.rates.falsePositiveRate)), "windows without an event that have an alert",
      y: AxisScale(deviate: placed.map { 1 - $0.rates.truePositiveRate }), "windows with an event, missed")
    let ends = (max(chart.x.low, 1 - chart.y.high), min(chart.x.high, 1 - chart.y.low))
    if ends.0 < ends.1 {
      let steps = (0...24).map { ends.0 + (ends.1 - ends.0) * Double($0) / 24 }
      chart.line(steps.map { ($0, 1 - $0) }, .chance, isDashed: true)
    }
    marks(in: &chart) { rates in
      placed.contains { $0.rates == rates } ? (rates.falsePositiveRate, 1 - rates.truePositiveRate) : nil
    }
    out.figure(
      chart,
      reading: "Down and to the left is better. Equal steps are equal standard deviations, so that settings that "
        + "differ only in their limit lie near a straight line.",
      legend: legend + [LegendEntry(.line(.chance, isDashed: true), "chance: alerts that fall anywhere")],
      head: ["Setting", "Role", "False positive rate", "Miss rate"],
      rows: rows { [FigureStyle.share.text($0.falsePositiveRate), FigureStyle.share.text(1 - $0.truePositiveRate)] })
  }

  /// What a drawing shows, of the chosen setting.
  private func summary(_ words: (WindowRates) -> String) -> String {
    guard let rates = points.first(where: { $0.point.isChosen })?.rates ?? points.first?.rates else { return "" }
    return (material.isTuning ? "The chosen setting: " : "These rules: ") + words(rates)
  }
}
