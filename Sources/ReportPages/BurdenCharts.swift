import Statistics

/// What settings find, against the alerts they cost: with chance in the same drawing.
struct BurdenCharts {
  let material: PageMaterial
  /// Settings drawn and listed that are not on the front, at most: more are a cloud nobody reads.
  static let othersMax = 300
  static let rowsMax = 100

  private var total: EvaluationRow { material.report.total }

  /// Settings with a burden and a figure: all that matter, and an even choice of the others.
  func drawn(_ figure: (OperatingPoint) -> Figure?) -> [OperatingPoint] {
    let known = material.points.filter { $0.burden != nil && figure($0) != nil }
    let marked = known.filter { $0.isOnFront || $0.isChosen || $0.isToday }
    let others = known.filter { !($0.isOnFront || $0.isChosen || $0.isToday) }.sorted(by: BurdenCharts.order)
    let kept = min(others.count, BurdenCharts.othersMax)
    return ((0..<kept).map { others[$0 * others.count / kept] } + marked).sorted(by: BurdenCharts.order)
  }

  private static func order(_ a: OperatingPoint, _ b: OperatingPoint) -> Bool {
    (a.burden?.value ?? 0, a.sensitivity?.value ?? 0, a.name) < (
      b.burden?.value ?? 0, b.sensitivity?.value ?? 0, b.name
    )
  }

  /// Up to the front and the points that are marked: what costs many times more would press them into a corner.
  private func burdenScale(_ points: [OperatingPoint]) -> AxisScale {
    let marked = points.filter { $0.isOnFront || $0.isChosen || $0.isToday }
    let burdens = (marked.isEmpty ? points : marked).compactMap(\.burden?.value)
    let bounds = points.filter { $0.isChosen || $0.isToday }.compactMap { $0.burden?.interval?.upper }
    return AxisScale(through: burdens.map { $0 * 1.25 } + bounds)
  }

  func write(to out: inout PageText) {
    out.element("div", "class=\"charts\"") {
      writeSensitivity(to: &$0)
      writeMargin(to: &$0)
    }
  }

  // MARK: Sensitivity

  private func writeSensitivity(to out: inout PageText) {
    let points = drawn(\.sensitivity)
    var chart = Chart(
      id: "burden", title: "Sensitivity against alert burden", summary: summary, x: burdenScale(points),
      "alerts per patient-day", y: .share, "events detected")
    drawClock(in: &chart)
    draw(points, \.sensitivity, in: &chart)
    drawRotation(in: &chart)
    out.figure(
      chart,
      reading: "Up and to the left is better: more events found by fewer alerts. What lies on or below the line of the "
        + "clock found nothing that the hour of the stay alone would not have found." + left(points, chart.x),
      legend: legend(points) + chanceLegend,
      head: ["Setting", "Role", "Alerts per patient-day", "95 %", "Detected", "Sensitivity", "95 %", "Before onset"],
      rows: rows(points) { point in
        [
          "\(point.detected) of \(point.events)", FigureStyle.share.text(point.sensitivity),
          FigureStyle.share.interval(point.sensitivity), FigureStyle.share.text(point.beforeOnset),
        ]
      } + chanceRows)
  }

  private var summary: String {
    let style = FigureStyle.share
    var text =
      "\(material.isTuning ? "The chosen setting detects" : "These rules detect") "
      + "\(style.both(total.events.sensitivity)) of events at "
      + "\(FigureStyle.number.both(total.alerts.perPatientDay)) alerts per patient-day."
    if let clock = total.chance.clock {
      text += " The best clock at this burden detects \(style.text(clock.sensitivity))"
      text += total.chance.rotation.map { ", the same alerts rotated in time \(style.text($0.mean))." } ?? "."
    }
    return text
  }

  private func drawClock(in chart: inout Chart) {
    let inside = material.clock.filter { $0.burden <= chart.x.high }
    chart.line(inside.map { ($0.burden, $0.sensitivity) }, .chance, isDashed: true)
    guard let clock = total.chance.clock, let burden = total.alerts.perPatientDay?.value else { return }
    chart.mark(
      .triangle, x: burden, y: clock.sensitivity, .chance,
      title: "best clock at this burden: \(FigureStyle.share.text(clock.sensitivity))")
  }

  private func drawRotation(in chart: inout Chart) {
    guard let rotation = total.chance.rotation, let burden = total.alerts.perPatientDay?.value else { return }
    chart.whisker(x: burden, low: rotation.low, high: rotation.high, .chance)
    chart.mark(
      .cross, x: burden, y: rotation.mean, .chance,
      title: "same alerts, rotated: \(FigureStyle.share.text(rotation.mean))")
  }

  private var chanceLegend: [LegendEntry] {
    var entries: [LegendEntry] = []
    if material.clock.count > 1 {
      entries.append(LegendEntry(.line(.chance, isDashed: true), "chance: the best clock at each burden"))
    }
    if total.chance.clock != nil {
      entries.append(LegendEntry(.mark(.triangle, .chance), "chance: the best clock at this burden"))
    }
    if total.chance.rotation != nil {
      entries.append(LegendEntry(.mark(.cross, .chance), "chance: the same alerts, rotated in time, with their 95 %"))
    }
    return entries
  }

  private var chanceRows: [[String]] {
    let burden = FigureStyle.number.text(total.alerts.perPatientDay)
    var rows: [[String]] = []
    if let rotation = total.chance.rotation {
      let range = "\(FigureStyle.share.text(rotation.low)) to \(FigureStyle.share.text(rotation.high))"
      rows.append([
        "the same alerts, rotated", "chance", burden, "–", "–", FigureStyle.share.text(rotation.mean), range, "–",
      ])
    }
    if let clock = total.chance.clock {
      rows.append(
        ["the best clock", "chance", burden, "–", "–", FigureStyle.share.text(clock.sensitivity), "–", "–"])
    }
    return rows
      + material.clock.map {
        let burden = FigureStyle.number.text($0.burden)
        return ["the best clock", "chance", burden, "–", "–", FigureStyle.share.text($0.sensitivity), "–", "–"]
      }
  }

  // MARK: Margin

  private func writeMargin(to out: inout PageText) {
    let points = drawn(\.margin)
    guard !points.isEmpty else { return }
    let marked = points.filter { $0.isOnFront || $0.isChosen || $0.isToday }.compactMap { $0.margin?.interval }
    let scale = AxisScale(
      through: points.compactMap(\.margin?.value) + marked.map(\.upper) + marked.map(\.lower),
      text: { FigureStyle.signed.text($0).replacingSuffix("0") })
    var chart = Chart(
      id: "margin", title: "Margin over matched controls against alert burden",
      summary: "Sensitivity less the share of matched patients without an event who had an alert in the same hours of "
        + "their stay: \(FigureStyle.signed.both(total.chance.margin)). Nought is chance.",
      x: burdenScale(points), "alerts per patient-day", y: scale, "margin")
    if scale.low < 0 { chart.line([(chart.x.low, 0), (chart.x.high, 0)], .chance, isDashed: true) }
    draw(points, \.margin, in: &chart)
    out.figure(
      chart,
      reading:
        "How much more often patients had an alert before an event than patients without one at the same hour of "
        + "their stay. Nought is chance; this is the figure to compare rules by." + left(points, chart.x),
      legend: legend(points), head: ["Setting", "Role", "Alerts per patient-day", "95 %", "Margin", "95 %"],
      rows: rows(points) { point in
        [FigureStyle.signed.text(point.margin), FigureStyle.signed.interval(point.margin)]
      })
  }

  // MARK: Both

  /// Others first, so that what matters lies on top.
  private func draw(_ points: [OperatingPoint], _ figure: (OperatingPoint) -> Figure?, in chart: inout Chart) {
    let front = points.filter(\.isOnFront)
    let bands = front.compactMap { point -> (x: Double, low: Double, high: Double)? in
      guard let burden = point.burden?.value, let interval = figure(point)?.interval, burden <= chart.x.high else {
        return nil
      }
      return (burden, interval.lower, interval.upper)
    }
    chart.band(bands, .main)
    for point in points where !point.isOnFront && !point.isChosen && !point.isToday {
      place(point, figure, .circle, .plain, in: &chart, size: 2.5, isHollow: true)
    }
    chart.line(
      front.compactMap { point in
        guard let burden = point.burden?.value, let value = figure(point)?.value else { return nil }
        return (burden, value)
      }, .main)
    for point in front where !point.isChosen && !point.isToday {
      place(point, figure, .circle, .main, in: &chart, size: 3)
    }
    for point in points where point.isToday && !point.isChosen {
      place(point, figure, .square, .other, in: &chart, label: "today")
    }
    for point in points where point.isChosen {
      place(
        point, figure, .diamond, .main, in: &chart, size: 5,
        label: point.isToday ? "chosen, as today" : material.chosenWord)
    }
  }

  private func place(
    _ point: OperatingPoint, _ figure: (OperatingPoint) -> Figure?, _ mark: ChartMark, _ ink: Ink,
    in chart: inout Chart,
    size: Double = 4, isHollow: Bool = false, label: String = ""
  ) {
    // What lies beyond the drawing is in its table.
    guard let burden = point.burden, let value = figure(point), burden.value <= chart.x.high else { return }
    if !label.isEmpty {
      if let interval = value.interval {
        chart.whisker(x: burden.value, low: interval.lower, high: interval.upper, ink)
      }
      if let interval = burden.interval {
        chart.whisker(y: value.value, from: interval.lower, to: interval.upper, ink)
      }
    }
    let title =
      "\(point.name): \(FigureStyle.number.text(burden)) alerts per patient-day, "
      + (chart.id == "margin" ? FigureStyle.signed.text(value) : FigureStyle.share.text(value))
    chart.mark(
      mark, x: burden.value, y: value.value, ink, size: size, isHollow: isHollow, title: title, label: label,
      isBelow: mark == .square)
  }

  private func legend(_ points: [OperatingPoint]) -> [LegendEntry] {
    var entries = [LegendEntry(.mark(.diamond, .main), "\(material.chosenWord), with 95 % intervals")]
    if points.contains(where: { $0.isToday && !$0.isChosen }) {
      entries.append(LegendEntry(.mark(.square, .other), "today's rules, with 95 % intervals"))
    }
    let front = points.count(where: \.isOnFront)
    if front > 1 {
      entries.append(LegendEntry(.line(.main, isDashed: false), "front: no setting is better in both"))
      if points.contains(where: { $0.isOnFront && $0.sensitivity?.interval != nil }) {
        entries.append(LegendEntry(.area(.main), "its 95 % intervals, point by point"))
      }
    }
    if points.contains(where: { !$0.isOnFront && !$0.isChosen && !$0.isToday }) {
      entries.append(LegendEntry(.hollow(.circle, .plain), "other settings tried"))
    }
    return entries
  }

  private func rows(_ points: [OperatingPoint], _ cells: (OperatingPoint) -> [String]) -> [[String]] {
    let marked = points.filter { $0.isOnFront || $0.isChosen || $0.isToday }
    let listed = points.count <= BurdenCharts.rowsMax ? points : Array(marked.prefix(BurdenCharts.rowsMax))
    return listed.map { point in
      [point.name, point.role, FigureStyle.number.text(point.burden), FigureStyle.number.interval(point.burden)]
        + cells(point)
    }
  }

  /// What the drawing leaves out, said below it.
  private func left(_ points: [OperatingPoint], _ scale: AxisScale) -> String {
    let beyond = points.count { ($0.burden?.value ?? 0) > scale.high }
    return
      (points.count < material.points.count
      ? " Of \(material.points.count) settings tried \(points.count) are shown, all of the front among them." : "")
      + (beyond > 0 ? " \(beyond) settings with a greater burden lie beyond the drawing." : "")
  }
}

extension String {
  /// Without so much of a last part as repeats: `+0.100` as `+0.1`.
  func replacingSuffix(_ digit: Character) -> String {
    guard contains(".") else { return self }
    var text = self
    while text.last == digit { text.removeLast() }
    if text.last == "." { text.removeLast() }
    return text
  }
}
