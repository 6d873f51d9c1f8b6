import AlertJournal
import Digests
import Pipeline
import VitalModel
import YAMLText

/// Whether an action may be taken, by what the store holds now (SEMANTICS D5). The same for a running service and for a
/// store that nothing runs on.
struct ActionCheck {
  var store: VigilStore
  var directory: Directory
  /// Of patients named without one.
  var tenant: String
  /// Rules in force; asked for silences only.
  var rules: () -> [RuleDefinition]
  /// Milliseconds since 1970.
  var now: Int64

  /// Longest user id and longest free text, UTF-8 bytes.
  static let nameMax = 200
  static let textMax = 2000
  /// Silences in force of one patient at most.
  static let silencesMax = 32
  /// Shorter silences are slips of the pen, milliseconds.
  static let silenceMin: Int64 = 1000

  func checked(_ request: ActionRequest) throws(ActionRefusal) -> CheckedAction {
    try checkName(request.by, "by")
    if let note = request.note { try checkText(note, "note") }
    switch request.verb {
    case .silence: return try silence(request)
    case .endSilence: return try endOfSilence(request)
    case .accept, .reject, .acknowledge, .resolve: return try answer(request)
    }
  }

  // MARK: Alerts

  private func answer(_ request: ActionRequest) throws(ActionRefusal) -> CheckedAction {
    let alertID = request.alert ?? ""
    let newest = try newest(alertID)
    if newest.state == .inactive { return try label(request, newest) }
    let patient = newest.patient
    let action: AlertAction
    switch request.verb {
    case .accept: action = .accept(alertID: alertID, by: request.by)
    case .reject: action = .reject(alertID: alertID, by: request.by)
    case .resolve:
      guard let reason = request.reason else {
        throw ActionRefusal(.wrong, "`reason` is needed: why the alert is over is on record")
      }
      try checkText(reason, "reason")
      action = .resolve(alertID: alertID, by: request.by, reason: reason)
    default:
      let given = Acknowledgement(by: request.by, kind: try judged(request.kind), note: request.note, time: now)
      action = .acknowledge(alertID: alertID, given)
    }
    return CheckedAction(patient: patient, action: action)
  }

  private func judged(_ text: String?) throws(ActionRefusal) -> AcknowledgementClass? {
    guard let text else { return nil }
    if let kind = AcknowledgementClass(rawValue: text) { return kind }
    let words = AcknowledgementClass.allCases.map(\.rawValue)
    throw ActionRefusal(.wrong, "`class` must be one of \(words.joined(separator: ", "))\(hint(text, words))")
  }

  /// An alert that has ended can still be told what it was worth.
  private func label(_ request: ActionRequest, _ newest: StoredTransition) throws(ActionRefusal) -> CheckedAction {
    guard request.verb == .acknowledge, let kind = try judged(request.kind),
      let last = AlertDocument(json: newest.document)
    else {
      throw ActionRefusal(
        .ended, "alert \(newest.alertID) has ended; what is left is to acknowledge it with a `class`")
    }
    let word = Acknowledgement(by: request.by, kind: kind, note: request.note, time: now)
    return CheckedAction(patient: newest.patient, action: .label(last, word))
  }

  private func newest(_ alertID: String) throws(ActionRefusal) -> StoredTransition {
    let newest: StoredTransition?
    do throws(JournalError) {
      newest = alertID.utf8.count <= ActionCheck.nameMax ? try store.alerts.newest(alertID: alertID) : nil
    } catch {
      throw ActionRefusal(.unavailable, "the alert cannot be read: \(error.description)")
    }
    guard let newest else {
      throw ActionRefusal(.unknown, "no such alert; `vigil alert list` shows those that are active")
    }
    return newest
  }

  // MARK: Silences

  private func silence(_ request: ActionRequest) throws(ActionRefusal) -> CheckedAction {
    guard let reason = request.reason else {
      throw ActionRefusal(.wrong, "`reason` is needed: why alerts are muted is on record")
    }
    try checkText(reason, "reason")
    let patient = try patient(request)
    let (matcher, longest) = try matcher(request)
    guard let duration = request.duration, duration >= ActionCheck.silenceMin else {
      throw ActionRefusal(.wrong, "`for` is needed: how long, such as 5m, at most \(DurationText.format(longest))")
    }
    guard duration <= longest else {
      throw ActionRefusal(
        .wrong,
        "\(DurationText.format(duration)) is too long: these alerts may be silenced for at most "
          + DurationText.format(longest))
    }
    try checkRoom(patient)
    let silence = Silence(
      id: try newID(), matcher: matcher, author: request.by, reason: reason, from: now, until: now + duration)
    return CheckedAction(patient: patient, action: .silence(silence))
  }

  private func patient(_ request: ActionRequest) throws(ActionRefusal) -> UInt32 {
    guard let name = request.patient, !name.isEmpty else {
      throw ActionRefusal(.wrong, "`patient` is needed: a silence is for one patient")
    }
    let tenant = request.tenant ?? tenant
    for number in 0..<UInt32(directory.counts.patients) {
      if let key = directory.patientKey(number), key.patient == name, key.tenant == tenant { return number }
    }
    throw ActionRefusal(.unknown, "the store knows no such patient in tenant `\(tenant)`")
  }

  private func matcher(_ request: ActionRequest) throws(ActionRefusal) -> (Silence.Matcher, longest: Int64) {
    switch (request.rule, request.alerts) {
    case (let rule?, nil):
      // Of several versions of a rule side by side, the most urgent one decides.
      let known = rules()
      guard let priority = known.filter({ $0.id == rule }).map(\.priority).max() else {
        throw ActionRefusal(.unknown, "no rule in force is called `\(rule)`\(hint(rule, known.map(\.id)))")
      }
      return (.rule(rule), Silence.longest(priority))
    case (nil, let word?):
      guard let kind = AlertKind(rawValue: word) else {
        let words = AlertKind.allCases.map(\.rawValue)
        throw ActionRefusal(.wrong, "`kind` must be one of \(words.joined(separator: ", "))\(hint(word, words))")
      }
      return (.kind(kind), ActionCheck.longest(kind, rules()))
    default: throw ActionRefusal(.wrong, "a silence is for one `rule` or for one `kind`: give exactly one of them")
    }
  }

  /// The longest a whole kind may be silenced: as long as its most urgent rule (SEMANTICS D5).
  ///
  /// Physiological alerts always count as high, and others as medium at least: any rule may be deployed meanwhile, and a
  /// lost signal inherits the priority of the alert it interrupts (B7).
  static func longest(_ kind: AlertKind, _ rules: [RuleDefinition]) -> Int64 {
    let least = kind == .physiological ? Priority.high : .medium
    return Silence.longest(rules.filter { $0.kind == kind }.map(\.priority).reduce(least, max))
  }

  private func checkRoom(_ patient: UInt32) throws(ActionRefusal) {
    let recent = try silences(from: now - Silence.longest(.low))
    guard recent.count(where: { $0.patient == patient && $0.isInForce(at: now) }) < ActionCheck.silencesMax else {
      throw ActionRefusal(.wrong, "the patient has \(ActionCheck.silencesMax) silences in force; end one first")
    }
  }

  private func silences(from start: Int64) throws(ActionRefusal) -> [StoredSilence] {
    do throws(JournalError) {
      return try store.actions.silences(from: start, limit: 100_000)
    } catch {
      throw ActionRefusal(.unavailable, "the silences cannot be read: \(error.description)")
    }
  }

  /// Ids sort by the time they were given.
  private func newID() throws(ActionRefusal) -> String {
    do throws(DigestError) {
      let time = hex((0..<6).map { UInt8(truncatingIfNeeded: now >> (40 - 8 * $0)) })
      return "s-" + time + hex(try secureRandomBytes(count: 4))
    } catch {
      throw ActionRefusal(.unavailable, "the system gives no random bytes; try again")
    }
  }

  private func endOfSilence(_ request: ActionRequest) throws(ActionRefusal) -> CheckedAction {
    let id = request.silence ?? ""
    let found: StoredSilence?
    do throws(JournalError) {
      found = try store.actions.silence(id)
    } catch {
      throw ActionRefusal(.unavailable, "the silence cannot be read: \(error.description)")
    }
    guard let found else { throw ActionRefusal(.unknown, "no such silence; `vigil silence list` shows them") }
    guard found.isInForce(at: now) else { throw ActionRefusal(.ended, "silence \(id) is over already") }
    return CheckedAction(patient: found.patient, action: .endSilence(id: id, by: request.by))
  }

  // MARK: Words

  private func checkName(_ text: String, _ key: String) throws(ActionRefusal) {
    let isName =
      text.utf8.count <= ActionCheck.nameMax && !text.unicodeScalars.contains { $0.value < 32 }
      && text.unicodeScalars.contains { !$0.properties.isWhitespace }
    guard isName else {
      throw ActionRefusal(
        .wrong, "`\(key)` is needed: who acts is on record (one line, at most \(ActionCheck.nameMax) bytes)")
    }
  }

  private func checkText(_ text: String, _ key: String) throws(ActionRefusal) {
    guard text.utf8.count <= ActionCheck.textMax, text.unicodeScalars.contains(where: { !$0.properties.isWhitespace })
    else { throw ActionRefusal(.wrong, "`\(key)` must be text of at most \(ActionCheck.textMax) bytes") }
  }

  private func hint(_ text: String, _ words: [String]) -> String {
    Suggestion.nearest(text, among: words).map { ", did you mean `\($0)`?" } ?? ""
  }
}
