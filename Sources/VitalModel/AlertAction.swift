/// What a person who looked says an alert was worth (IHE PCD ACM: accepted as positive, not relevant, false).
package enum AcknowledgementClass: String, Sendable, CaseIterable {
  case actionable
  case notRelevant = "not-relevant"
  case isFalse = "false"
}

/// A person's word that they have seen an alert. It does not end the alert.
package struct Acknowledgement: Hashable, Sendable {
  /// A user's id, never a patient's.
  package var by: String
  /// nil: seen, not judged.
  package var kind: AcknowledgementClass?
  /// Free text for the record; it goes to no log, metric or topic.
  package var note: String?
  /// Milliseconds since 1970.
  package var time: Int64

  package init(by: String, kind: AcknowledgementClass? = nil, note: String? = nil, time: Int64) {
    self.by = by
    self.kind = kind
    self.note = note
    self.time = time
  }
}

/// Who answers for an alert (IEC 60601-1-8: responsibility of a distributed alarm system).
package enum Responsibility: String, Sendable, CaseIterable {
  /// Nobody has answered yet, or not in time.
  case undefined
  case accepted
  case rejected
}

/// Muting of one rule, or of every rule of a kind, for one patient, by a person, for a time (SEMANTICS D5).
package struct Silence: Hashable, Sendable {
  package enum Matcher: Hashable, Sendable {
    case rule(String)
    case kind(AlertKind)
  }
  package var id: String
  package var matcher: Matcher
  package var author: String
  package var reason: String
  /// In force from (included) until (excluded), milliseconds since 1970.
  package var from: Int64
  package var until: Int64

  package init(id: String, matcher: Matcher, author: String, reason: String, from: Int64, until: Int64) {
    self.id = id
    self.matcher = matcher
    self.author = author
    self.reason = reason
    self.from = from
    self.until = until
  }

  package func matches(rule: String, kind: AlertKind) -> Bool {
    switch matcher {
    case .rule(let id): id == rule
    case .kind(let own): own == kind
    }
  }

  /// The longest an alert of this priority may be silenced, milliseconds (SEMANTICS D5): high 10 min, medium 2 h, low and
  /// info 12 h.
  package static func longest(_ priority: Priority) -> Int64 {
    switch priority {
    case .high: 600_000
    case .medium: 7_200_000
    case .low, .info: 43_200_000
    }
  }
}

/// What a person does about one patient's alerts: journaled, so that a replay sees the same.
package enum AlertAction: Hashable, Sendable {
  case accept(alertID: String, by: String)
  /// Not mine: the next of the ladder is told at once.
  case reject(alertID: String, by: String)
  case acknowledge(alertID: String, Acknowledgement)
  /// What an alert that has ended was worth: its last document, and the word. It changes the record and calls nobody.
  case label(AlertDocument, Acknowledgement)
  /// Ended by a person. A condition that still holds is told again after the re-alarm time.
  case resolve(alertID: String, by: String, reason: String)
  case silence(Silence)
  /// A silence taken back before its end.
  case endSilence(id: String, by: String)
}
