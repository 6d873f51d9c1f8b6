import VitalModel

/// What people do about alerts, and how alerts behave: journaled entries like everything else.
extension Engine {
  /// A person answered an alert, or set or ended a silence. What concerns no alert of this patient changes nothing.
  package func applyAction(_ slot: Slot, _ action: AlertAction) {
    noteEntry(slot)
  }

  /// Puts other alerting settings in force from this point of the journal on.
  package func adoptAlerting(_ settings: AlertingSettings, at entry: Slot? = nil) {
    finishMessage()
    if let entry { noteEntry(entry) }
    alerting = settings
  }
}
