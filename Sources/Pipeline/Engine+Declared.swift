import VitalModel

/// States a device declares through its event channel (SEMANTICS A11): not alarms, but what explains a poor signal.
extension Engine {
  /// The states a device may declare, with the longest each is believed without an end, milliseconds. A cuff inflating on the
  /// probe's limb takes the pulse away for up to a minute (bedside monitors allow 60 s); the others are bounded by
  /// `inhibit_max` of the rules that heed them.
  static let declarable: [String: Int64] = [
    "cuff-inflating": 60_000, "procedure": 3_600_000, "suctioning": 300_000, "transport": 3_600_000,
  ]

  /// Takes in a declared state.
  ///
  /// - Returns: whether the device's word was one; any other is an alarm.
  func declare(
    _ alarm: DeviceAlarm, _ patient: UnsafeMutablePointer<PatientState>, _ context: JudgeContext
  ) -> Bool {
    let name = alarm.event.lowercased()
    guard let longest = Engine.declarable[name] else { return false }
    patient.pointee.declared.removeAll { $0.name == name || $0.until <= context.engineTime }
    if alarm.hasEnded {
      retryInhibited(patient, context)
    } else {
      patient.pointee.declared.append(DeclaredState(name: name, until: context.engineTime + longest))
    }
    return true
  }
}
