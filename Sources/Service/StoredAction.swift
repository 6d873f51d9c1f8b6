import Foundation
import VitalModel

/// A person's action as the journal keeps it (docs/formats/journal.md): keys and their meaning stay as they are.
struct StoredAction: Codable, Equatable {
  /// The version this program writes, and the newest it reads.
  static let version = 1

  var v = StoredAction.version
  /// `accept`, `reject`, `acknowledge`, `label`, `resolve`, `silence` or `end-silence`.
  var action: String
  /// The alert's id, or the silence's.
  var id: String
  var by: String
  /// Of an acknowledgement.
  var kind: String?
  var note: String?
  /// Milliseconds since 1970.
  var time: Int64?
  /// Of a silence: exactly one of both.
  var rule: String?
  var alerts: String?
  var reason: String?
  var from: Int64?
  var until: Int64?
  /// Of a label: the ended alert's last document.
  var document: String?

  enum CodingKeys: String, CodingKey {
    case v, action, id, by, note, time, rule, reason, from, until, document
    case kind = "class"
    case alerts = "kind"
  }

  init(_ action: AlertAction) {
    switch action {
    case .accept(let alertID, let by): (self.action, id, self.by) = ("accept", alertID, by)
    case .reject(let alertID, let by): (self.action, id, self.by) = ("reject", alertID, by)
    case .acknowledge(let alertID, let given):
      (self.action, id, by) = ("acknowledge", alertID, given.by)
      (kind, note, time) = (given.kind?.rawValue, given.note, given.time)
    case .label(let document, let given):
      (self.action, id, by) = ("label", document.alertID, given.by)
      (kind, note, time) = (given.kind?.rawValue, given.note, given.time)
      self.document = document.json
    case .resolve(let alertID, let by, let reason):
      (self.action, id, self.by) = ("resolve", alertID, by)
      self.reason = reason
    case .silence(let silence):
      (self.action, id, by) = ("silence", silence.id, silence.author)
      (reason, from, until) = (silence.reason, silence.from, silence.until)
      switch silence.matcher {
      case .rule(let id): rule = id
      case .kind(let kind): alerts = kind.rawValue
      }
    case .endSilence(let id, let by): (self.action, self.id, self.by) = ("end-silence", id, by)
    }
  }

  /// Deterministic JSON, as journaled.
  var bytes: [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return (try? encoder.encode(self)).map(Array.init) ?? []
  }

  /// A journal entry read back; nil if its bytes are damaged or of a later version.
  static func action(journaled bytes: [UInt8]) -> AlertAction? {
    guard let stored = try? JSONDecoder().decode(StoredAction.self, from: Data(bytes)), stored.v == version else {
      return nil
    }
    return stored.alertAction
  }

  /// nil where keys do not fit the action.
  var alertAction: AlertAction? {
    switch action {
    case "accept": return .accept(alertID: id, by: by)
    case "reject": return .reject(alertID: id, by: by)
    case "acknowledge": return acknowledgement.map { .acknowledge(alertID: id, $0) }
    case "label":
      guard let word = acknowledgement, let last = document.flatMap(AlertDocument.init(json:)) else { return nil }
      return .label(last, word)
    case "resolve": return reason.map { .resolve(alertID: id, by: by, reason: $0) }
    case "silence":
      guard let reason, let from, let until, let matcher else { return nil }
      return .silence(Silence(id: id, matcher: matcher, author: by, reason: reason, from: from, until: until))
    case "end-silence": return .endSilence(id: id, by: by)
    default: return nil
    }
  }

  private var acknowledgement: Acknowledgement? {
    guard let time else { return nil }
    let judged = kind.map(AcknowledgementClass.init(rawValue:))
    if case .some(.none) = judged { return nil }
    return Acknowledgement(by: by, kind: judged ?? nil, note: note, time: time)
  }

  private var matcher: Silence.Matcher? {
    switch (rule, alerts) {
    case (let rule?, nil): .rule(rule)
    case (nil, let alerts?): AlertKind(rawValue: alerts).map(Silence.Matcher.kind)
    default: nil
    }
  }
}
