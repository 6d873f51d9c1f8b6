import VitalModel

/// Tests that stand beside rules: a strip chart in, the transitions and ledger rows it must give out.
///
/// This room runs them through the live engine in stream time, measures which outcomes of a rule's conditions they saw, and
/// changes the rule to see whether they would notice. It never opens a file, never reads a clock and never prints: texts
/// come in, reports go out.
package struct RuleTest: Sendable {
  package var name: String
  /// Where it is written.
  package var line: Int
  package var column: Int
  package var patient: TestPatient
  /// Milliseconds between two ticks.
  package var tick: Int64
  package var series: [TestSeries]
  package var settings: [ParameterSetting]
  /// The device's own alarm, for rules with `checks`.
  package var alarm: TestAlarm?
  /// Ids of rules that run beside the one under test.
  package var companions: [String]
  package var expected: [ExpectedTransition]
  /// nil: the ledger is not looked at.
  package var suppressed: [ExpectedHeld]?
}

/// Who the strip chart is of.
package struct TestPatient: Sendable, Hashable {
  /// Completed years; nil: unknown, or given in months.
  package var years: Int? = 50
  package var months: Int?
  package var flags: [String] = []
  package var unit: String?
  package var state = AdmissionState.admitted
  /// When ``state`` ends, milliseconds since the first tick; nil: not in this test.
  package var stateUntil: Int64?
  /// Whether the roster knows the patient: the flags of one it does not know are unknown.
  package var isListed = true
}

/// One series of a strip chart.
package struct TestSeries: Sendable {
  package var code: VitalCode
  /// Position in ``VitalDefinition/units``.
  package var unit: UInt8
  package var source: String
  package var device: String
  /// As written: `spo2`, `hr@ecg`.
  package var name: String
  package var samples: [TestSample]
}

/// One sample of a strip chart.
package struct TestSample: Sendable, Hashable {
  /// Milliseconds since the first tick.
  package var time: Int64
  package var value: DecimalValue
  package var quality = SampleQuality.absent
  package var status = SampleStatus.ok
}

/// A device's own alarm in a test.
package struct TestAlarm: Sendable, Hashable {
  package var event: String
  /// Milliseconds since the first tick; it comes before the samples of that tick.
  package var time: Int64
}

/// What must be told.
package struct ExpectedTransition: Sendable, Hashable {
  /// Milliseconds since the first tick.
  package var time: Int64
  package var phase: AlertPhase
  /// nil: any (`end: true`, `update: true`).
  package var priority: Priority?
  package var value: DecimalValue?
  package var limit: DecimalValue?
  package var message: String?
  package var isUnverified: Bool?
  /// What the numerics must say about the device's alarm; "none": no check may answer.
  package var verification: String?

  package var text: String {
    var text = "\(ClockText.format(time)) \(phase.rawValue)"
    if let priority { text += " \(priority.text)" }
    if let value { text += " value \(value)" }
    if let limit { text += " limit \(limit)" }
    if let isUnverified { text += isUnverified ? " unverified" : " verified" }
    if let verification { text += " \(verification)" }
    if let message { text += " \"\(message)\"" }
    return text
  }
}

/// A ledger row that must be written.
package struct ExpectedHeld: Sendable, Hashable {
  package var time: Int64
  package var stage: SuppressionStage

  package var text: String { "\(ClockText.format(time)) \(stage.rawValue)" }
}

/// Times since the first tick of a test.
package enum ClockText {
  /// `75s`, `1m30s`, `2h`: whole numbers with units, largest first or not, added up. nil if it is anything else.
  package static func parse(_ text: some StringProtocol) -> Int64? {
    var total: Int64 = 0
    var rest = Substring(text)
    guard !rest.isEmpty else { return nil }
    while !rest.isEmpty {
      let digits = rest.prefix { $0.isASCII && $0.isNumber }
      let unit = rest.dropFirst(digits.count).prefix { $0.isLetter }
      guard let part = DurationText.parse(String(digits) + String(unit)) else { return nil }
      let (sum, overflow) = total.addingReportingOverflow(part)
      guard !overflow, sum <= 3_155_760_000_000 else { return nil }
      total = sum
      rest = rest.dropFirst(digits.count + unit.count)
    }
    return total
  }

  /// `75s`; from ten minutes on `12m30s` or `2h5m`.
  package static func format(_ milliseconds: Int64) -> String {
    if milliseconds < 0 { return "-" + format(-milliseconds) }
    if milliseconds % 1000 != 0 { return "\(milliseconds)ms" }
    if milliseconds < 600_000 { return "\(milliseconds / 1000)s" }
    var rest = milliseconds / 1000
    var text = ""
    for (size, unit) in [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")] as [(Int64, String)] {
      if rest / size > 0 { text += "\(rest / size)\(unit)" }
      rest %= size
    }
    return text
  }
}
