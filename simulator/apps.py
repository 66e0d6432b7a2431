"""The catalogue: which apps exist, what they look like and which actions they offer. Data, and look-ups in it.

The titles are those of well-known services; every id, colour, version, key and description is made up.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "https://simulator.example/apps")

#: What an action may be: the six types that the API's reference lists, and the one that only its guides use.
ACTION_TYPES: Final = ("READ", "READ_BULK", "SEARCH", "SEARCH_AND_WRITE", "SEARCH_OR_WRITE", "WRITE", "FILTER")


@dataclass(frozen=True, slots=True, eq=False)
class Action:
    """Something an app can do, known for good by its app, `key` and `action_type`."""

    key: str
    action_type: str
    title: str
    description: str
    is_instant: bool = False


@dataclass(frozen=True, eq=False)
class App:
    """An app of the catalogue. `implementation` is None for the apps that need no authentication."""

    title: str
    implementation: str | None
    hex_color: str
    categories: tuple[str, ...]
    description: str
    actions: tuple[Action, ...]
    #: The fields of its authentication scheme, where the app is the partner's own; else none.
    asks: tuple[str, ...] = ()

    @cached_property
    def id(self) -> str:
        """The app's uuid: the same in every simulator."""
        return str(uuid.uuid5(_NAMESPACE, self.title))

    @cached_property
    def slug(self) -> str:
        """The title in lower case, with hyphens."""
        return "-".join(self.title.lower().split())

    @cached_property
    def action_types(self) -> list[str]:
        """The types of action it offers, in the order of the reference."""
        offered = {action.action_type for action in self.actions}
        return [action_type for action_type in ACTION_TYPES if action_type in offered]

    @property
    def needs_authentication(self) -> bool:
        """Whether a step of this app must name an authentication."""
        return self.implementation is not None


class Catalogue:
    """Apps in order of popularity, found by id, by title and by what their actions are numbered."""

    def __init__(self, apps: Iterable[App]) -> None:
        self.apps: Final = tuple(apps)
        self.by_id: Final = {app.id: app for app in self.apps}
        self._by_name: Final = {name: app for app in self.apps for name in (app.id, app.title.casefold())}
        self._by_implementation: Final = {app.implementation: app for app in self.apps if app.implementation}
        self._by_slug: Final = {app.slug: app for app in self.apps}
        self.actions: Final = tuple((app, action) for app in self.apps for action in app.actions)
        self._by_key: Final = {(app.id, action.key, action.action_type): action for app, action in self.actions}
        self._numbers: Final = {action: number for number, (_, action) in enumerate(self.actions)}

    def find(self, name: str) -> App | None:
        """Return the app with this uuid or title, whatever the case of its letters."""
        return self._by_name.get(name.casefold())

    def implemented_by(self, implementation: str) -> App | None:
        """Return the app whose connect link names this implementation."""
        return self._by_implementation.get(implementation)

    def with_slug(self, slug: str) -> App | None:
        """Return the app whose pictures carry this name."""
        return self._by_slug.get(slug)

    def action(self, app_id: str, key: str, action_type: str) -> Action | None:
        """Return the action known by these."""
        return self._by_key.get((app_id, key, action_type))

    def number_of(self, action: Action) -> int:
        """Return the number under which an action is sealed into its ids."""
        return self._numbers[action]


def _reads(key: str, title: str, description: str, *, instant: bool = False) -> Action:
    return Action(key, "READ", title, description, is_instant=instant)


def _writes(key: str, title: str, description: str) -> Action:
    return Action(key, "WRITE", title, description)


def _searches(key: str, title: str, description: str, *, action_type: str = "SEARCH") -> Action:
    return Action(key, action_type, title, description)


_CONNECTED: Final = (
    App(
        "Google Sheets",
        "GoogleSheetsV2CLIAPI@2.9.1",
        "1d8f5a",
        ("spreadsheets",),
        "Spreadsheets that several people edit at once.",
        (
            _reads("new_row", "New Spreadsheet Row", "Triggers when a row is added at the bottom of a sheet."),
            _reads("updated_row", "New or Updated Row", "Triggers when a row is added or changed.", instant=True),
            _writes("create_row", "Create Spreadsheet Row", "Adds a row to a sheet."),
            _writes("update_row", "Update Spreadsheet Row", "Changes a row of a sheet."),
            _searches("find_row", "Lookup Spreadsheet Row", "Finds a row by one of its cells."),
            _searches("all_rows", "Get All Rows", "Reads a sheet's rows at once.", action_type="READ_BULK"),
        ),
    ),
    App(
        "Gmail",
        "GoogleMailV2CLIAPI@2.5.0",
        "c5392f",
        ("email",),
        "E-mail by Google.",
        (
            _reads("new_email", "New Email", "Triggers when an e-mail arrives."),
            _reads("new_labeled_email", "New Labeled Email", "Triggers when an e-mail is given a label."),
            _writes("send_email", "Send Email", "Sends an e-mail."),
            _writes("create_draft", "Create Draft", "Writes an e-mail without sending it."),
            _searches("find_email", "Find Email", "Finds an e-mail by its text."),
        ),
    ),
    App(
        "Slack",
        "SlackCLIAPI@1.33.2",
        "4a1d4f",
        ("team-chat",),
        "Channels and messages for teams.",
        (
            _reads("new_message", "New Message Posted to Channel", "Triggers when a message is posted.", instant=True),
            _reads("new_reaction", "New Reaction Added", "Triggers when somebody reacts to a message.", instant=True),
            _writes("channel_message", "Send Channel Message", "Posts a message to a channel."),
            _writes("direct_message", "Send Direct Message", "Sends a message to one person."),
            _searches("find_user", "Find User by Email", "Finds a member of the workspace."),
        ),
    ),
    App(
        "HubSpot",
        "HubSpotCLIAPI@1.7.1",
        "f0744f",
        ("crm", "marketing-automation"),
        "Customer relations and marketing in one place.",
        (
            _reads("new_contact", "New Contact", "Triggers when a contact is created.", instant=True),
            _reads("new_deal", "New Deal", "Triggers when a deal is created."),
            _writes("create_contact", "Create Contact", "Creates a contact."),
            _writes("create_deal", "Create Deal", "Creates a deal."),
            _searches(
                "find_or_create_contact",
                "Find or Create Contact",
                "Finds a contact, and creates it where there is none.",
                action_type="SEARCH_OR_WRITE",
            ),
        ),
    ),
    App(
        "Google Calendar",
        "GoogleCalendarCLIAPI@1.12.0",
        "3f72c4",
        ("calendar",),
        "Appointments, alone and with others.",
        (
            _reads("new_event", "New Event", "Triggers when an event is created."),
            _reads("event_start", "Event Start", "Triggers a while before an event begins."),
            _writes("create_event", "Create Detailed Event", "Creates an event."),
            _searches("find_event", "Find Event", "Finds an event by its text."),
        ),
    ),
    App(
        "Google Drive",
        "GoogleDriveCLIAPI@1.13.4",
        "2a9c63",
        ("file-storage",),
        "Files, stored and shared.",
        (
            _reads("new_file", "New File", "Triggers when a file is added."),
            _writes("upload_file", "Upload File", "Stores a file."),
            _writes("create_folder", "Create Folder", "Creates an empty folder."),
            _searches("find_file", "Find a File", "Finds a file by its name."),
        ),
    ),
    App(
        "Notion",
        "NotionCLIAPI@1.9.0",
        "2f2f2f",
        ("documents", "notes"),
        "Notes, documents and small databases.",
        (
            _reads("new_item", "New Database Item", "Triggers when an item is added to a database."),
            _writes("create_item", "Create Database Item", "Adds an item to a database."),
            _searches("find_item", "Find Database Item", "Finds an item by its properties."),
        ),
    ),
    App(
        "Airtable",
        "AirtableCLIAPI@4.1.0",
        "1f9fd0",
        ("databases",),
        "Databases that look like spreadsheets.",
        (
            _reads("new_record", "New Record", "Triggers when a record is created.", instant=True),
            _writes("create_record", "Create Record", "Creates a record."),
            _searches("find_record", "Find Record", "Finds a record."),
        ),
    ),
    App(
        "Salesforce",
        "SalesforceCLIAPI@2.20.3",
        "1b96d6",
        ("crm",),
        "Sales, from the first contact to the contract.",
        (
            _reads("new_record", "New Record", "Triggers when a record of a kind is created."),
            _reads("updated_record", "Updated Record", "Triggers when a record changes.", instant=True),
            _writes("create_record", "Create Record", "Creates a record of a kind."),
            _searches("find_record", "Find Record", "Finds a record by a field."),
        ),
    ),
    App(
        "Mailchimp",
        "MailchimpCLIAPI@1.15.1",
        "e8c94a",
        ("email-newsletters",),
        "Newsletters and their audiences.",
        (
            _reads("new_subscriber", "New Subscriber", "Triggers when somebody subscribes.", instant=True),
            _writes("subscribe", "Add or Update Subscriber", "Adds somebody to an audience."),
            _searches("find_subscriber", "Find a Subscriber", "Finds a subscriber by e-mail address."),
        ),
    ),
    App(
        "Trello",
        "TrelloCLIAPI@1.4.0",
        "2374b8",
        ("project-management",),
        "Boards of cards.",
        (
            _reads("new_card", "New Card", "Triggers when a card is added to a board.", instant=True),
            _writes("create_card", "Create Card", "Adds a card to a list."),
            _writes("move_card", "Move Card to List", "Moves a card."),
        ),
    ),
    App(
        "Asana",
        "AsanaCLIAPI@4.2.0",
        "e56a6f",
        ("project-management",),
        "Tasks and who does them.",
        (
            _reads("new_task", "New Task", "Triggers when a task is created."),
            _reads("completed_task", "Completed Task", "Triggers when a task is completed.", instant=True),
            _writes("create_task", "Create Task", "Creates a task."),
        ),
    ),
    App(
        "Typeform",
        "TypeformCLIAPI@2.0.5",
        "303538",
        ("forms",),
        "Forms that ask one question at a time.",
        (
            _reads("new_entry", "New Entry", "Triggers when a form is sent in.", instant=True),
            _writes("create_response", "Create Prefilled Link", "Makes a link to a form that is partly filled in."),
        ),
    ),
    App(
        "Stripe",
        "StripeCLIAPI@2.3.0",
        "5f5ae0",
        ("payments",),
        "Payments, subscriptions and invoices.",
        (
            _reads("new_payment", "New Payment", "Triggers when a payment succeeds.", instant=True),
            _reads("new_customer", "New Customer", "Triggers when a customer is created.", instant=True),
            _writes("create_customer", "Create Customer", "Creates a customer."),
            _searches("find_customer", "Find Customer", "Finds a customer by e-mail address."),
        ),
    ),
    App(
        "Shopify",
        "ShopifyCLIAPI@1.21.0",
        "86ae45",
        ("ecommerce",),
        "Online shops.",
        (
            _reads("new_order", "New Order", "Triggers when an order is placed.", instant=True),
            _writes("create_product", "Create Product", "Adds a product to the shop."),
            _searches("find_product", "Find Product", "Finds a product by its title."),
        ),
    ),
    App(
        "Discord",
        "DiscordCLIAPI@1.6.2",
        "5a66e8",
        ("team-chat",),
        "Chat rooms for communities.",
        (
            _reads("new_message", "New Message Posted to Channel", "Triggers when a message is posted."),
            _writes("channel_message", "Send Channel Message", "Posts a message to a channel."),
        ),
    ),
    App(
        "Jira",
        "JiraCLIAPI@3.8.0",
        "2160cc",
        ("project-management", "developer-tools"),
        "Issues of software projects.",
        (
            _reads("new_issue", "New Issue", "Triggers when an issue is created.", instant=True),
            _writes("create_issue", "Create Issue", "Creates an issue."),
            _searches("find_issue", "Find Issue", "Finds an issue by its key."),
        ),
    ),
    App(
        "GitHub",
        "GitHubCLIAPI@1.10.2",
        "24292e",
        ("developer-tools",),
        "Source code and the work on it.",
        (
            _reads("new_commit", "New Commit", "Triggers when a commit is pushed."),
            _reads("new_issue", "New Issue", "Triggers when an issue is opened.", instant=True),
            _writes("create_issue", "Create Issue", "Opens an issue."),
        ),
    ),
    App(
        "Zendesk",
        "ZendeskV2CLIAPI@2.4.1",
        "0b4f4c",
        ("customer-support",),
        "Customers' questions, as tickets.",
        (
            _reads("new_ticket", "New Ticket", "Triggers when a ticket is created.", instant=True),
            _writes("create_ticket", "Create Ticket", "Creates a ticket."),
            _searches("find_ticket", "Find Ticket", "Finds a ticket by its fields."),
        ),
    ),
    App(
        "Intercom",
        "IntercomCLIAPI@1.11.0",
        "3a3ad6",
        ("customer-support",),
        "Conversations with customers.",
        (
            _reads("new_conversation", "New Conversation", "Triggers when a conversation begins.", instant=True),
            _writes("send_message", "Send Message", "Sends a message to a contact."),
        ),
    ),
    App(
        "Dropbox",
        "DropboxCLIAPI@1.5.3",
        "2463e0",
        ("file-storage",),
        "Files in folders, on every device.",
        (
            _reads("new_file", "New File", "Triggers when a file is added.", instant=True),
            _writes("upload_file", "Upload File", "Stores a file."),
        ),
    ),
    App(
        "Microsoft Outlook",
        "MicrosoftOutlookCLIAPI@1.9.2",
        "1c73bd",
        ("email", "calendar"),
        "E-mail and calendar by Microsoft.",
        (
            _reads("new_email", "New Email", "Triggers when an e-mail arrives.", instant=True),
            _writes("send_email", "Send Email", "Sends an e-mail."),
            _writes("create_event", "Create Event", "Creates an appointment."),
        ),
    ),
    App(
        "Microsoft Teams",
        "MicrosoftTeamsCLIAPI@1.8.0",
        "5257b3",
        ("team-chat",),
        "Meetings and messages for teams.",
        (
            _reads("new_message", "New Channel Message", "Triggers when a message is posted."),
            _writes("channel_message", "Send Channel Message", "Posts a message to a channel."),
        ),
    ),
    App(
        "monday.com",
        "MondayCLIAPI@2.2.0",
        "e2455e",
        ("project-management",),
        "Work on boards of items.",
        (
            _reads("new_item", "New Item in Board", "Triggers when an item is created.", instant=True),
            _writes("create_item", "Create Item", "Creates an item."),
        ),
    ),
    App(
        "ClickUp",
        "ClickUpCLIAPI@1.6.0",
        "7a5cf0",
        ("project-management",),
        "Tasks, documents and goals.",
        (
            _reads("new_task", "New Task", "Triggers when a task is created.", instant=True),
            _writes("create_task", "Create Task", "Creates a task."),
        ),
    ),
    App(
        "Pipedrive",
        "PipedriveCLIAPI@3.1.4",
        "24553d",
        ("crm",),
        "Deals on their way through a pipeline.",
        (
            _reads("new_deal", "New Deal", "Triggers when a deal is created.", instant=True),
            _writes("create_deal", "Create Deal", "Creates a deal."),
            _searches("find_person", "Find Person", "Finds a person."),
        ),
    ),
    App(
        "Calendly",
        "CalendlyCLIAPI@2.1.0",
        "1a6be0",
        ("calendar", "scheduling"),
        "Appointments that others choose.",
        (
            _reads("invitee_created", "Invitee Created", "Triggers when somebody books an appointment.", instant=True),
            _writes("create_link", "Create One-Off Link", "Makes a link for one appointment."),
        ),
    ),
    App(
        "QuickBooks Online",
        "QuickBooksCLIAPI@1.18.0",
        "2f9e3a",
        ("accounting",),
        "Book-keeping for small companies.",
        (
            _reads("new_invoice", "New Invoice", "Triggers when an invoice is created."),
            _writes("create_invoice", "Create Invoice", "Creates an invoice."),
            _searches("find_customer", "Find Customer", "Finds a customer."),
        ),
    ),
    App(
        "Xero",
        "XeroCLIAPI@1.7.2",
        "1fb3d9",
        ("accounting",),
        "Accounts, invoices and bills.",
        (
            _reads("new_bill", "New Bill", "Triggers when a bill is created."),
            _writes("create_invoice", "Create Sales Invoice", "Creates an invoice."),
        ),
    ),
    App(
        "Twilio",
        "TwilioCLIAPI@1.3.1",
        "d93a4b",
        ("phone-sms",),
        "Text messages and calls.",
        (
            _reads("new_sms", "New SMS", "Triggers when a text message arrives.", instant=True),
            _writes("send_sms", "Send SMS", "Sends a text message."),
        ),
    ),
    App(
        "Zoom",
        "ZoomCLIAPI@2.6.0",
        "2d7ff0",
        ("video-conferencing",),
        "Meetings on video.",
        (
            _reads("new_recording", "New Recording", "Triggers when a recording is ready.", instant=True),
            _writes("create_meeting", "Create Meeting", "Plans a meeting."),
        ),
    ),
    App(
        "WordPress",
        "WordPressCLIAPI@1.4.4",
        "21759b",
        ("website-builders",),
        "Websites and blogs.",
        (
            _reads("new_post", "New Post", "Triggers when a post is published."),
            _writes("create_post", "Create Post", "Creates a post."),
        ),
    ),
)

_BUILT_IN: Final = (
    App(
        "Webhooks",
        None,
        "c0392b",
        ("developer-tools", "built-in"),
        "Receives and sends HTTP requests.",
        (
            _reads("catch_hook", "Catch Hook", "Triggers when a request arrives.", instant=True),
            _reads("poll", "Retrieve Poll", "Asks an address now and then, and triggers on what is new."),
            _writes("post", "POST", "Sends a POST request."),
            _writes("get", "GET", "Sends a GET request."),
        ),
    ),
    App(
        "Filter",
        None,
        "6b4fbb",
        ("built-in",),
        "Lets a Zap go on only when a condition holds.",
        (
            _reads("passed", "Condition Met", "Triggers when a condition held in another Zap."),
            _writes("record", "Record Decision", "Notes whether a condition held."),
            Action("only_continue_if", "FILTER", "Only Continue If", "Goes on only when the condition holds."),
        ),
    ),
    App(
        "Code",
        None,
        "3d4a5c",
        ("developer-tools", "built-in"),
        "Runs a few lines of a program.",
        (
            _reads("run_on_schedule", "Run Code on a Schedule", "Triggers on what the program returns."),
            _writes("run_javascript", "Run JavaScript", "Runs a program in JavaScript."),
            _writes("run_python", "Run Python", "Runs a program in Python."),
        ),
    ),
    App(
        "Schedule",
        None,
        "de7e1f",
        ("built-in",),
        "Starts Zaps at set times.",
        (
            _reads("every_hour", "Every Hour", "Triggers once an hour."),
            _reads("every_day", "Every Day", "Triggers once a day."),
            _writes("skip_next", "Skip Next Run", "Leaves out the next run of a schedule."),
        ),
    ),
    App(
        "Formatter",
        None,
        "2c8c99",
        ("built-in",),
        "Changes texts, numbers and dates.",
        (
            _reads("new_batch", "New Formatted Batch", "Triggers when a list has been formatted."),
            _writes("text", "Text", "Changes a text."),
            _writes("date_time", "Date / Time", "Changes a date."),
        ),
    ),
    App(
        "Delay",
        None,
        "8a6d3b",
        ("built-in",),
        "Makes a Zap wait.",
        (
            _reads("elapsed", "Delay Elapsed", "Triggers when a wait in another Zap is over."),
            _writes("delay_for", "Delay For", "Waits for a while."),
            _writes("delay_until", "Delay Until", "Waits for a moment."),
        ),
    ),
)

#: The partner's own app: users may also connect it by filling in what it asks for.
_OWN: Final = (
    App(
        "Acme Orders",
        "AcmeOrdersCLIAPI@1.0.0",
        "8f3d0f",
        ("ecommerce",),
        "The partner's own app: orders and who placed them.",
        (
            _reads("new_order", "New Order", "Triggers when an order is placed.", instant=True),
            _writes("create_order", "Create Order", "Places an order."),
        ),
        asks=("username", "password"),
    ),
)

#: The catalogue that every simulator serves, most popular first: the built-in apps stand among the others.
CATALOGUE: Final = Catalogue((*_CONNECTED[:4], _BUILT_IN[0], *_CONNECTED[4:9], *_BUILT_IN[1:], *_CONNECTED[9:], *_OWN))
