import Pipeline
import VitalModel

extension ReplaySession {
  /// What a replay ends with.
  package struct Summary: Sendable {
    package var patients = 0
    package var samples = 0
    package var stored = 0
    package var quarantined = 0
    package var duplicates = 0
    package var quarantinedByReason: [(reason: String, count: Int)] = []
    package var alerts = 0
    package var suppressed = 0
    package var alertsByRule: [String: Int] = [:]
    /// Starts, escalations, updates and ends anybody would have been told of.
    package var notifications = 0
    /// Ledger rows by stage and rule.
    package var suppressedByStage: [SuppressionStage: [String: Int]] = [:]
    /// Whether ``json`` shows ``suppressedByStage``.
    package var showsStages = false
    package var seconds = 0.0
    package var stateHash = ""

    package var json: String {
      var out = JSONText()
      out.object {
        $0.field("patients", patients)
        $0.field("samples", samples)
        $0.field("stored", stored)
        $0.field("quarantined", quarantined)
        $0.field("duplicates", duplicates)
        $0.field("alerts", alerts)
        $0.field("suppressed", suppressed)
        $0.field("notifications", notifications)
        if showsStages {
          $0.object("stages") { out in
            for stage in SuppressionStage.allCases {
              out.object(stage.rawValue) { out in
                let held = suppressedByStage[stage] ?? [:]
                out.field("held", held.values.reduce(0, +))
                out.object("by_rule") { out in
                  for (rule, count) in held.sorted(by: { $0.key < $1.key }) { out.field(rule, count) }
                }
              }
            }
          }
        }
        $0.object("alerts_by_rule") { out in
          for (rule, count) in alertsByRule.sorted(by: { $0.key < $1.key }) { out.field(rule, count) }
        }
        $0.object("quarantined_by_reason") { out in
          for (reason, count) in quarantinedByReason { out.field(reason, count) }
        }
        $0.field("seconds", (seconds * 1000).rounded() / 1000)
        $0.field("samples_per_second", seconds > 0 ? Int(Double(samples) / seconds) : 0)
        $0.field("state_hash", stateHash)
      }
      return out.text
    }
  }
}
