import Statistics
import VitalModel

/// How early alerts come, whom they are of, and at what hour.
struct CountCharts {
  let material: PageMaterial
  private var report: EvaluationReport { material.report }

  func write(to out: inout PageText) {
    out.element("div", "class=\"charts\"") {
      writeLeads(to: &$0)
      writePatients(to: &$0)
      writeHours(to: &$0)
    }
  }

  // MARK: Lead times

  /// Lead times counted in steps of equal length.
  struct LeadBins: Hashable {
    /// Milliseconds before the onset; below zero after it.
    var start: Int64
    var step: Int64
    var counts: [Int]

    static let countMax = 24
    private static let steps: [Int64] = [
      1, 5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800,
      2_592_000,
    ].map { $0 * 1000 }

    /// - Returns: nil without lead times, or where they are too far apart to be of one kind.
    init?(_ leads: [Int64]) {
      guard let least = leads.min(), let most = leads.max() else { return nil }
      guard let step = LeadBins.steps.first(where: { (most - least) / $0 < Int64(LeadBins.countMax - 1) }) else {
        return nil
      }
      let first = LeadBins.floor(least, step)
      counts = [Int](repeating: 0, count: Int(LeadBins.floor(most, step) - first) + 1)
      for lead in leads { counts[Int(LeadBins.floor(lead, step) - first)] += 1 }
      start = first * step
      self.step = step
    }

    private static func floor(_ lead: Int64, _ step: Int64) -> Int64 {
      lead >= 0 ? lead / step : -((-lead + step - 1) / step)
    }
  }

  private func writeLeads(to out: inout PageText) {
    let leads = report.patients.flatMap(\.leads)
    guard let bins = LeadBins(leads) else { return }
    let end = bins.start + bins.step * Int64(bins.counts.count)
    // Time runs to the right, as in every other drawing: what is early lies at the left.
    let scale = AxisScale(time: min(-end, 0)...max(-bins.start, 0))
    let median = FigureStyle.duration.text(report.total.lead?.median)
    var chart = Chart(
      id: "lead", title: "How early alerts came",
      summary:
        "Time of the first alert that counted for each of \(leads.count) detected events, against the onset. Median "
        + "\(median) before it.",
      x: scale, "time of the alert, against the onset",
      y: AxisScale(through: bins.counts.map { Double($0) * 1.15 }, isCount: true),
      "events")
    var rows: [[String]] = []
    for (index, count) in bins.counts.enumerated().reversed() {
      let from = bins.start + bins.step * Int64(index)
      let words = "\(PageNumbers.duration(Double(from))) to \(PageNumbers.duration(Double(from + bins.step)))"
      chart.bar(
        from: -Double(from + bins.step), to: -Double(from), height: Double(count), .main, title: "\(words): \(count)")
      rows.append([words, "\(count)"])
    }
    chart.upright(x: 0, .other, label: "onset")
    if let median = report.total.lead?.median.value { chart.upright(x: -median, .plain, label: "median") }
    out.figure(
      chart,
      reading: "Bars left of the onset are alerts in time; right of it they came late but within the grace. "
        + "Median \(median), half of them between "
        + "\(report.total.lead.map { "\(PageNumbers.duration($0.p25)) and \(PageNumbers.duration($0.p75))" } ?? "–").",
      head: ["Before the onset", "Events"], rows: rows)
  }

  // MARK: Patients

  /// Patients with most alerts first, in ten parts as equal as can be.
  struct Tenth: Hashable {
    var patients = 0
    var alerts = 0
    var isFalse = 0
    var share = 0.0
  }

  static func tenths(_ patients: [(alerts: Int, isFalse: Int)]) -> [Tenth] {
    let sorted = patients.sorted { $0 > $1 }
    let total = sorted.reduce(0) { $0 + $1.alerts }
    // The first tenth is rounded up: of eleven patients the two noisiest are the noisy tenth, not one.
    let ends = (0...10).map { ($0 * sorted.count + 9) / 10 }
    return (0..<10).compactMap { part in
      let rows = sorted[ends[part]..<ends[part + 1]]
      guard !rows.isEmpty else { return nil }
      var tenth = Tenth(patients: rows.count)
      tenth.alerts = rows.reduce(0) { $0 + $1.alerts }
      tenth.isFalse = rows.reduce(0) { $0 + $1.isFalse }
      tenth.share = total > 0 ? Double(tenth.alerts) / Double(total) : 0
      return tenth
    }
  }

  private func writePatients(to out: inout PageText) {
    let counts = report.patients.map(\.alerts).sorted(by: >)
    let tenths = CountCharts.tenths(report.patients.map { ($0.alerts, $0.isFalse) })
    guard let most = counts.first, most > 0, let noisy = tenths.first else { return }
    let share = FigureStyle.share.text(noisy.share)
    var chart = Chart(
      id: "patients", title: "Alerts per patient",
      summary:
        "The \(noisy.patients) patients with most alerts, a tenth of all, have \(share) of the alerts; the noisiest "
        + "has \(most).",
      x: .share, "patients, most alerts first", y: AxisScale(through: [Double(most) * 1.15], isCount: true),
      "alerts of a patient")
    let bars = min(counts.count, CountCharts.barsMax)
    for bar in 0..<bars {
      let range = bar * counts.count / bars..<(bar + 1) * counts.count / bars
      let mean = Double(counts[range].reduce(0, +)) / Double(range.count)
      let ends = (Double(range.lowerBound), Double(range.upperBound))
      let isNoisy = range.lowerBound < noisy.patients
      chart.bar(
        from: ends.0 / Double(counts.count), to: ends.1 / Double(counts.count), height: mean, isNoisy ? .other : .main)
    }
    chart.upright(
      x: Double(noisy.patients) / Double(counts.count), .other, label: "the noisy tenth: \(share) of all alerts")
    out.figure(
      chart,
      reading:
        "Where a few patients make most of the alerts, their own limits are the cheapest thing to change; the figures "
        + "of all together hide them. \(counts.count { $0 == 0 }) of \(counts.count) patients have no alert.",
      head: ["Patients, most alerts first", "Alerts", "Share of all", "False"],
      rows: tenths.enumerated().map { index, tenth in
        [
          "\(index == 0 ? "noisiest" : "next") \(tenth.patients)", "\(tenth.alerts)",
          FigureStyle.share.text(tenth.share),
          "\(tenth.isFalse)",
        ]
      })
  }

  private static let barsMax = 120

  // MARK: Hours

  private func writeHours(to out: inout PageText) {
    let hours = report.hours
    let totals = (
      alerts: hours.reduce(0) { $0 + $1.alerts }, isFalse: hours.reduce(0) { $0 + $1.isFalse },
      events: hours.reduce(0) { $0 + $1.events }
    )
    guard totals.alerts + totals.events > 0 else { return }
    func share(_ count: Int, _ total: Int) -> Double { total > 0 ? Double(count) / Double(total) : 0 }
    let values = hours.flatMap {
      [share($0.alerts, totals.alerts), share($0.isFalse, totals.isFalse), share($0.events, totals.events)]
    }
    var chart = Chart(
      id: "hours", title: "Hour of the day",
      summary:
        "Share of alerts, of false alerts and of onsets in each hour of the day, UTC. Spread evenly each hour would "
        + "hold 4.2 %.",
      x: .hours, "hour of the day, UTC",
      y: AxisScale(through: values, text: { PageNumbers.short($0 * 100) + "\u{A0}%" }), "share of all 24 hours")
    for hour in hours {
      chart.bar(
        from: Double(hour.hour) + 0.1, to: Double(hour.hour) + 0.9, height: share(hour.alerts, totals.alerts), .main)
    }
    if totals.events > 0 {
      chart.line(hours.map { (Double($0.hour) + 0.5, share($0.events, totals.events)) }, .other)
      for hour in hours {
        chart.mark(.diamond, x: Double(hour.hour) + 0.5, y: share(hour.events, totals.events), .other, size: 3)
      }
    }
    for hour in hours where totals.isFalse > 0 {
      chart.mark(.cross, x: Double(hour.hour) + 0.5, y: share(hour.isFalse, totals.isFalse), .plain, size: 2.5)
    }
    chart.line([(0, 1.0 / 24), (24, 1.0 / 24)], .chance, isDashed: true)
    out.figure(
      chart,
      reading: "Alerts that follow the clock and onsets that do not point at the ward's routine, not at patients. "
        + "Recordings with times of their own instead of the real ones have no hour of the day.",
      legend: [
        LegendEntry(.area(.main), "alerts"), LegendEntry(.mark(.cross, .plain), "false alerts"),
        LegendEntry(.mark(.diamond, .other), "onsets"), LegendEntry(.line(.chance, isDashed: true), "spread evenly"),
      ],
      head: ["Hour, UTC", "Alerts", "False", "Onsets"],
      rows: hours.map { ["\($0.hour)", "\($0.alerts)", "\($0.isFalse)", "\($0.events)"] })
  }
}
