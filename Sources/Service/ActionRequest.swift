import AlertJournal
import Digests
import VitalModel

/// What somebody asks to be done about an alert or a silence, in words, before anything is looked up.
package struct ActionRequest: Codable, Equatable, Sendable {
  package enum Verb: String, Codable, Sendable, CaseIterable {
    case accept, reject, acknowledge, resolve, silence
    case endSilence = "end-silence"

    /// Whether it answers one alert.
    package var isAboutAlert: Bool { self != .silence && self != .endSilence }
  }

  package var verb: Verb
  /// The alert it answers.
  package var alert: String?
  /// The silence it ends.
  package var silence: String?
  /// A user's id.
  package var by: String
  /// `actionable`, `not-relevant` or `false`.
  package var kind: String?
  package var note: String?
  package var reason: String?
  /// Of a silence: the patient, the tenant if not the configured one, one rule or all of a kind, and how long in
  /// milliseconds.
  package var patient: String?
  package var tenant: String?
  package var rule: String?
  package var alerts: String?
  package var duration: Int64?

  package init(_ verb: Verb, by: String) {
    self.verb = verb
    self.by = by
  }

  /// An answer to one alert.
  package init(_ verb: Verb, alert: String, by: String) {
    self.init(verb, by: by)
    self.alert = alert
  }
}

/// Why an action is not taken: one line that says what to do.
package struct ActionRefusal: Error, Equatable {
  package enum Reason: String, Sendable {
    /// No such alert, patient, rule or silence.
    case unknown
    /// It is over already.
    case ended
    /// The request says too little, too much or something that is not allowed.
    case wrong
    /// The service is stopping, or the disk takes nothing: nothing is known of the action, so ask again.
    case unavailable
  }
  package var reason: Reason
  package var line: String

  package init(_ reason: Reason, _ line: String) {
    self.reason = reason
    self.line = line
  }
}

/// An action that may be journaled, and the patient it is about.
package struct CheckedAction: Equatable, Sendable {
  package var patient: UInt32
  package var action: AlertAction
}

/// What became of an action.
package struct ActionReceipt: Equatable, Sendable {
  /// Journal position, durable.
  package var position: UInt64
  /// The silence made; nil: none.
  package var silence: Silence?

  package init(position: UInt64, silence: Silence? = nil) {
    self.position = position
    self.silence = silence
  }
}

extension AlertAction {
  /// The word metrics, logs and the journal have for it.
  var word: String { StoredAction(self).action }
}

extension ActionMark {
  /// For a request that may be repeated under a key: the key counts for one method and path.
  static func request(key: String, at place: String, body: [UInt8], made: String, expires: Int64) -> ActionMark {
    ActionMark(
      kind: .request, digest: requestDigest(key: key, at: place), expires: expires, request: sha256(body), made: made)
  }

  static func requestDigest(key: String, at place: String) -> [UInt8] { sha256("request\n\(place)\n\(key)") }

  /// How long a request's key is remembered, milliseconds.
  static let requestLifetime: Int64 = 86_400_000
}
