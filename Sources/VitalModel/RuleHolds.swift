/// What may hold a rule's alerts, as texts.
extension RuleDefinition {
  /// The keys of what holds and follows an alert with their values, in a fixed order; what a rule does not say is left out.
  package var holdTexts: [(name: String, text: String)] {
    var list: [(name: String, text: String)] = []
    if let minimumQuality { list.append(("quality min", "\(minimumQuality)")) }
    if !gates.isEmpty { list.append(("quality gate", gates.map(\.text).joined(separator: "; "))) }
    if let confirm { list.append(("confirm", confirm.text)) }
    if !inhibitedBy.isEmpty { list.append(("inhibited_by", inhibitedBy.joined(separator: ", "))) }
    if !inhibitedIn.isEmpty { list.append(("inhibited_in", inhibitedIn.joined(separator: ", "))) }
    if isInhibited { list.append(("inhibit_max", DurationText.format(inhibitMax))) }
    if let halvesAt { list.append(("smart_delay", "halves at \(halvesAt.normalized)")) }
    if let worseningStep { list.append(("worsening", "\(worseningStep.normalized)")) }
    if let flap {
      let within = "\(DurationText.format(flap.within)), quiet \(DurationText.format(flap.quiet))"
      list.append(("flap", flap.count == 0 ? "never" : "\(flap.count) within \(within)"))
    }
    if !escalation.isEmpty { list.append(("escalate", escalationText)) }
    if let latches { list.append(("latch", "\(latches)")) }
    if renew > 0 { list.append(("renew", DurationText.format(renew))) }
    for adaptation in adaptations {
      let bounds = "\(adaptation.floor.normalized) to \(adaptation.ceiling.normalized)"
      list.append(("adapt \(parameters[adaptation.parameter].name)", "\(adaptation.to.text), \(bounds)"))
    }
    return list
  }

  /// Whether another alert, a state or a flag may hold it.
  package var isInhibited: Bool { !inhibitedBy.isEmpty || !inhibitedIn.isEmpty }

  /// The ladder as written: `60s charge-nurse, 3m rapid-response`.
  private var escalationText: String {
    escalation.map { "\(DurationText.format($0.after)) \($0.to)" }.joined(separator: ", ")
  }
}
