import Suppression
import VitalModel

/// When alerts of the rules were told and ended: what a search over many settings needs to know of them.
package struct BriefRecord: Sendable {
  /// One alert people would have been told of.
  package struct Alert: Sendable {
    /// Directory number.
    package var patient: UInt32
    /// Position in the plan.
    package var rule: Int32
    /// The highest it had.
    package var priority: Priority
    /// When it was told, and when it ended, engine time; `.max`: it has not.
    package var time: Int64
    package var end: Int64 = .max
  }

  package private(set) var alerts: [Alert] = []
  /// By rule: starts, updates, escalations, re-alarms and ends anybody would have been told of.
  package private(set) var notifications: [Int] = []

  package init() {}

  /// Takes in a transition of an alert of a rule.
  mutating func take(
    _ alert: inout ActiveAlert, patient: UInt32, phase: AlertPhase, isNotified: Bool, at now: Int64
  ) {
    while notifications.count <= alert.rule { notifications.append(0) }
    if isNotified { notifications[alert.rule] += 1 }
    if phase == .start, isNotified {
      alert.briefPlace = alerts.count
      alerts.append(
        Alert(patient: patient, rule: Int32(alert.rule), priority: alert.priority, time: alert.detected))
    } else if alert.briefPlace >= 0 {
      alerts[alert.briefPlace].priority = max(alerts[alert.briefPlace].priority, alert.priority)
      if phase == .end { alerts[alert.briefPlace].end = now }
    }
  }
}
