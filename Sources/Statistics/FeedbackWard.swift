import VitalModel

/// Who was watched when, and the rows figures are made of.
struct FeedbackWard {
  /// By patient number; everybody with an alert is among them, with no time of their own where none is known.
  let watches: [PatientWatch]
  private let range: Range<Int64>
  private let options: FeedbackOptions

  init(_ input: FeedbackInput, _ options: FeedbackOptions) {
    range = input.range
    self.options = options
    var units: [UInt32: String] = [:]
    for outcome in input.outcomes { if let unit = outcome.unit { units[outcome.patient] = unit } }
    var byNumber: [UInt32: PatientWatch] = [:]
    let isInside = { (span: Range<Int64>) in span.overlaps(input.range) || input.range.contains(span.lowerBound) }
    for watch in input.watches where watch.spans.contains(where: isInside) {
      byNumber[watch.patient] = PatientWatch(
        patient: watch.patient, unit: watch.unit ?? units[watch.patient], spans: watch.spans)
    }
    for outcome in input.outcomes where byNumber[outcome.patient] == nil {
      byNumber[outcome.patient] = PatientWatch(patient: outcome.patient, unit: units[outcome.patient], spans: [])
    }
    watches = byNumber.values.sorted { $0.patient < $1.patient }
  }

  /// Patient-days inside a range, of one unit or, with nil, of all.
  func days(of unit: String??, in range: Range<Int64>) -> Double {
    watches.reduce(0) { sum, watch in
      if let unit, watch.unit != unit { return sum }
      return sum + watch.days(in: range.clamped(to: self.range))
    }
  }

  // MARK: Rows

  func rows(_ outcomes: [AlertOutcome], by key: (AlertOutcome) -> FeedbackKey) -> [FeedbackRow] {
    let groups = Dictionary(grouping: outcomes, by: key)
    return groups.keys.sorted(by: FeedbackKey.isBefore).map { row($0, groups[$0] ?? []) }
  }

  func row(_ key: FeedbackKey, _ outcomes: [AlertOutcome]) -> FeedbackRow {
    var row = FeedbackRow(key: key)
    var byPatient: [UInt32: (alerts: Int, labelled: Int, actionable: Int)] = [:]
    for outcome in outcomes {
      row.alerts += 1
      row.notifications += outcome.notified
      row.realarms += outcome.realarms
      row.escalations += outcome.escalations
      if outcome.acknowledgedAt != nil { row.acknowledged += 1 }
      switch outcome.judgement {
      case .actionable: row.actionable += 1
      case .notRelevant: row.notRelevant += 1
      case .isFalse: row.isFalse += 1
      case nil: break
      }
      byPatient[outcome.patient, default: (0, 0, 0)].alerts += 1
      if outcome.judgement != nil { byPatient[outcome.patient, default: (0, 0, 0)].labelled += 1 }
      if outcome.isActionable { byPatient[outcome.patient, default: (0, 0, 0)].actionable += 1 }
    }
    row.patients = byPatient.count
    let numbers = byPatient.keys.sorted()
    row.predictiveValue = PatientBootstrap.share(
      numbers.compactMap { byPatient[$0].map { PatientCluster(Double($0.actionable), over: Double($0.labelled)) } },
      seed: options.seed)
    let concerned = concerned(key)
    // Who was not there then is no patient of it.
    let clusters = concerned.watches.map { watch in
      PatientCluster(Double(byPatient[watch.patient]?.alerts ?? 0), over: watch.days(in: concerned.range))
    }.filter { $0.numerator > 0 || $0.denominator > 0 }
    row.patientDays = clusters.reduce(0) { $0 + $1.denominator }
    row.burden = PatientBootstrap.rate(clusters, seed: options.seed)
    return row
  }

  /// Whose time counts for a row, and when.
  private func concerned(_ key: FeedbackKey) -> (watches: [PatientWatch], range: Range<Int64>) {
    switch key {
    case .all, .rule: (watches, range)
    case .unit(let unit): (watches.filter { $0.unit == unit }, range)
    case .patient(let number): (watches.filter { $0.patient == number }, range)
    case .week(let week): (watches, week.range.clamped(to: range))
    }
  }

  // MARK: Shifts

  func shifts(_ outcomes: [AlertOutcome]) -> [ShiftFigures] {
    let known = Set(watches.map(\.unit)).union(outcomes.map(\.unit))
    let units = known.sorted { ($0 == nil ? 1 : 0, $0 ?? "") < ($1 == nil ? 1 : 0, $1 ?? "") }
    return units.map { unit in figures(unit, outcomes.filter { $0.unit == unit }) }
  }

  private func figures(_ unit: String?, _ outcomes: [AlertOutcome]) -> ShiftFigures {
    let shift = max(1, options.shift)
    var counts: [Int64: Int] = [:]
    for watch in watches where watch.unit == unit {
      for span in watch.spans {
        let part = span.clamped(to: range)
        guard !part.isEmpty else { continue }
        let first = DecimalFloor.divide(part.lowerBound, shift)
        for index in first...DecimalFloor.divide(part.upperBound - 1, shift) { counts[index, default: 0] += 0 }
      }
    }
    for outcome in outcomes { counts[DecimalFloor.divide(outcome.start, shift), default: 0] += 1 }
    let busiest = counts.filter { $0.value > 0 }.max { ($0.value, $1.key) < ($1.value, $0.key) }
    let days = days(of: .some(unit), in: range)
    let perDay = days > 0 ? Double(outcomes.count) / days : nil
    return ShiftFigures(
      unit: unit, shifts: counts.count, alerts: outcomes.count,
      perShift: counts.isEmpty ? 0 : Double(outcomes.count) / Double(counts.count),
      perNurse: perDay.map { $0 * Double(shift) / 86_400_000 * Double(options.patientsPerNurse) },
      busiest: busiest?.value ?? 0, busiestStart: busiest.map { $0.key * shift })
  }
}
