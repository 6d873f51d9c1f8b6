/// How urgently a human must hear of it (IEC 60601-1-8), ordered.
package enum Priority: UInt8, Sendable, Comparable, CaseIterable, BitwiseCopyable {
  case info = 0
  case low = 1
  case medium = 2
  case high = 3

  package static func < (a: Priority, b: Priority) -> Bool { a.rawValue < b.rawValue }

  package var text: String {
    switch self {
    case .info: "info"
    case .low: "low"
    case .medium: "medium"
    case .high: "high"
    }
  }
  package init?(text: String) {
    guard let match = Priority.allCases.first(where: { $0.text == text }) else { return nil }
    self = match
  }
  /// The next higher priority; high stays high.
  package var raised: Priority { Priority(rawValue: rawValue + 1) ?? .high }
}

package enum AlertKind: String, Sendable, CaseIterable {
  case physiological
  case technical
  case advisory
}

/// What one transition of an alert tells (IHE ACM facet 3).
package enum AlertPhase: String, Sendable, CaseIterable {
  case start
  case update
  case escalate
  case deEscalate = "de-escalate"
  case end
}

/// IHE ACM facet 4.
package enum AlertState: String, Sendable, CaseIterable {
  case active
  case latched
  case inactive
}

/// The stages that may hold an alert (SEMANTICS D6), in order.
package enum SuppressionStage: String, Sendable, CaseIterable {
  case quality, smoothing, hysteresis, persistence, confirmation, inhibition, refractory, duplicate, flap, silence
  case acknowledged, grouping, budget, stale, retrospective, shadow
}

extension SuppressionStage {
  /// What would have released, or will release, what a stage holds.
  package var release: String {
    switch self {
    case .quality: "a good signal, the bypass limit, or max_hold"
    case .smoothing: "the smoothed value beyond the limit, or the bypass limit"
    case .hysteresis: "the clear condition for its time, and then the limit again"
    case .persistence: "the condition for its time, or the bypass limit"
    case .confirmation: "the second sign, the bypass limit, or max_hold"
    case .inhibition: "the end of what explains it, its cap, the bypass limit, a higher priority or a worsening"
    case .refractory, .silence, .acknowledged, .budget: "its end, the bypass limit, a higher priority or a worsening"
    case .duplicate, .grouping, .flap: "a new vital, a higher priority or a worsening"
    case .stale: "samples that come again, and the condition for its time"
    case .retrospective: "the condition still true at the newest sample"
    case .shadow: "the rule going live"
    }
  }
}

/// The state of one alert after one transition, as receivers, files and the API see it (CONTRACT section 4).
package struct AlertDocument: Hashable, Sendable {
  package struct Suppressed: Hashable, Sendable {
    package var stage: SuppressionStage
    /// What held it: a rule id, a setting, a state.
    package var by: String
    /// Event time until which it is held at most, milliseconds; nil: until the condition changes.
    package var until: Int64?
    package init(stage: SuppressionStage, by: String, until: Int64?) {
      self.stage = stage
      self.by = by
      self.until = until
    }
  }

  package var alertID = ""
  package var sequence = 1
  package var tenant = ""
  package var patient = ""
  package var device: String?
  package var ruleID = ""
  package var ruleVersion = ""
  package var ruleTitle = ""
  package var ruleMode = "live"
  package var priority = Priority.medium
  package var kind = AlertKind.physiological
  package var phase = AlertPhase.start
  package var state = AlertState.active
  package var onsetTime: Int64 = 0
  package var detectedTime: Int64 = 0
  package var code: String?
  package var value: DecimalValue?
  package var unit: String?
  package var limit: DecimalValue?
  package var durationSeconds: Int64 = 0
  package var message = ""
  package var locationUnit: String?
  package var locationBed: String?
  package var sources: [String] = []
  package var members: [String] = []
  package var unverified = false
  package var verification: String?
  package var attemptLevel = 0
  package var respondBy: Int64?
  package var stillActive = true
  package var retrospective = false
  package var simulated = false
  package var suppressed: Suppressed?
  package var acknowledgement: Acknowledgement?
  package var responsibility = Responsibility.undefined
  /// Who accepted or rejected it last; a user's id.
  package var responder: String?
  /// Whom an escalation is for: a person, role, schedule or receiver by name.
  package var escalatedTo: String?
  /// Whom its ladder has called so far, in order; not part of the document people read.
  package var calledSteps: [String] = []
  /// It came and went so often that it stays, as one alert (SEMANTICS D4).
  package var isRecurrent = false
  /// The condition returned, or nobody has settled it: it is told again.
  package var isRealarm = false
  /// Why it ended, in a word or two; nil while it has not.
  package var endReason: String?
  /// Patients one technical cause concerns, where it is more than one.
  package var patients: [String] = []

  package init() {}

  /// The document as one JSON object, keys in the contract's order: equal documents are equal bytes.
  package var json: String {
    var out = JSONText()
    write(to: &out)
    return out.text
  }

  package func write(to out: inout JSONText) {
    out.object {
      $0.field("alert_id", alertID)
      $0.field("sequence", sequence)
      $0.field("tenant", tenant)
      $0.field("patient", patient)
      $0.field("device", device)
      $0.object("rule") {
        $0.field("id", ruleID)
        $0.field("version", ruleVersion)
        $0.field("title", ruleTitle)
        $0.field("mode", ruleMode)
      }
      $0.field("priority", priority.text)
      $0.field("kind", kind.rawValue)
      $0.field("phase", phase.rawValue)
      $0.field("state", state.rawValue)
      $0.field("onset_time", Timestamp.format(onsetTime))
      $0.field("detected_time", Timestamp.format(detectedTime))
      $0.field("code", code)
      $0.field("value", value)
      $0.field("unit", unit)
      $0.field("limit", limit)
      $0.field("duration_s", Int(durationSeconds))
      $0.field("message", message)
      $0.object("location") {
        $0.field("unit", locationUnit)
        $0.field("bed", locationBed)
      }
      $0.field("sources", sources)
      $0.field("members", members)
      $0.field("unverified", unverified)
      $0.field("verification", verification)
      $0.field("attempt_level", attemptLevel)
      $0.field("respond_by", respondBy.map(Timestamp.format))
      $0.field("still_active", stillActive)
      $0.field("retrospective", retrospective)
      $0.field("simulated", simulated)
      if let suppressed {
        $0.object("suppressed") {
          $0.field("reason", suppressed.stage.rawValue)
          $0.field("by", suppressed.by)
          $0.field("until", suppressed.until.map(Timestamp.format))
          $0.field("release", suppressed.stage.release)
        }
      } else {
        $0.null("suppressed")
      }
      if let acknowledgement {
        $0.object("acknowledgement") {
          $0.field("by", acknowledgement.by)
          $0.field("class", acknowledgement.kind?.rawValue)
          $0.field("note", acknowledgement.note)
          $0.field("time", Timestamp.format(acknowledgement.time))
        }
      } else {
        $0.null("acknowledgement")
      }
      $0.object("responsibility") {
        $0.field("state", responsibility.rawValue)
        $0.field("by", responder)
      }
      $0.field("inactivation", acknowledgement == nil ? "enabled" : "alert-acknowledged")
      $0.field("escalated_to", escalatedTo)
      $0.field("recurrent", isRecurrent)
      $0.field("realarm", isRealarm)
      $0.field("end_reason", endReason)
      if !patients.isEmpty { $0.field("patients", patients) }
      $0.field("explain", "/v1/alerts/\(alertID)/explanation")
    }
  }
}
