// Drive the npm package `whatsapp-api-js` as its users do: `node whatsapp_api_js.mjs send|receive`, settings as JSON in
// the environment variable CLIENT. What happens is printed as one line of JSON each.
import { createServer } from "node:http";
import { WhatsAppAPI } from "whatsapp-api-js";
import {
  ActionButtons, ActionCTA, ActionList, ActionLocation, Audio, Body, Button, Contacts, Document,
  Footer, Header, Image, Interactive, Language, ListSection, Location, Name, Phone, Reaction, Row, Sticker,
  Template, Text, Video,
} from "whatsapp-api-js/messages";

const settings = JSON.parse(process.env.CLIENT);
const say = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const version = "v24.0";

// The package has Meta's host built in; its users replace `fetch` to talk to another one.
const elsewhere = (url, options) =>
  fetch(String(url).replace("https://graph.facebook.com", `${settings.base}/graph`), options);

function client() {
  return new WhatsAppAPI({
    token: settings.token,
    appSecret: settings.secret ?? "unused",
    webhookVerifyToken: settings.verify_token,
    v: version,
    ponyfill: { fetch: elsewhere },
  });
}

function messages(media) {
  const buttons = new ActionButtons(new Button("yes", "Yes"), new Button("no", "No"));
  const list = new ActionList("Choose", new ListSection("All", new Row("1", "One", "The first")));
  return {
    text: new Text("Hello"),
    image: new Image(media.image, true, "A picture"),
    audio: new Audio(media.audio, true),
    video: new Video(media.video, true),
    document: new Document(media.document, true, undefined, "bill.pdf"),
    sticker: new Sticker(media.sticker, true),
    location: new Location(-99.13, 19.43, "Zócalo", "Mexico City"),
    contacts: new Contacts([new Name("Luz Vera", "Luz", "Vera"), new Phone("+5215500000000", "WORK")]),
    reaction: new Reaction(settings.known, "👍"),
    template: new Template(settings.template, new Language("en_US")),
    buttons: new Interactive(buttons, new Body("Do you agree?"), new Header("A question"), new Footer("Thanks")),
    list: new Interactive(list, new Body("What is it?")),
    cta_url: new Interactive(new ActionCTA("Open", "https://shop.example/"), new Body("Look")),
    location_request: new Interactive(new ActionLocation(), new Body("Where are you?")),
  };
}

async function upload(api, type, name) {
  const form = new FormData();
  form.set("file", new Blob([Buffer.from(settings.files[name], "base64")], { type }), `file.${type.split("/")[1]}`);
  return (await api.uploadMedia(settings.number, form)).id;
}

async function send() {
  const api = client();
  const media = {
    image: await upload(api, "image/jpeg", "image"),
    audio: await upload(api, "audio/mpeg", "audio"),
    video: await upload(api, "video/mp4", "video"),
    document: await upload(api, "application/pdf", "document"),
    sticker: await upload(api, "image/webp", "sticker"),
  };
  say({ uploaded: media });
  const found = await api.retrieveMedia(media.image);
  const bytes = Buffer.from(await (await api.fetchMedia(found.url)).arrayBuffer());
  say({ media: found, same: bytes.toString("base64") === settings.files.image });
  for (const [type, message] of Object.entries(messages(media))) {
    say({ type, answer: await api.sendMessage(settings.number, { phone: settings.to }, message) });
  }
  say({ type: "read", answer: await api.markAsRead(settings.number, settings.known, "text") });
  say({ type: "deleted", answer: await api.deleteMedia(media.image) });
}

function receive() {
  const api = client();
  api.on.message = ({ message, from, name }) => say({ kind: "message", id: message.id, type: message.type, from, name });
  api.on.status = ({ id, status, phone }) => say({ kind: "status", id, status, phone });
  const server = createServer(async (request, response) => {
    try {
      if (request.method === "GET") {
        const query = Object.fromEntries(new URL(request.url, "http://here").searchParams);
        response.end(api.get(query));
        return;
      }
      const parts = [];
      for await (const part of request) parts.push(part);
      const body = Buffer.concat(parts).toString();
      await api.post(JSON.parse(body), body, request.headers["x-hub-signature-256"]);
      response.end();
    } catch (error) {
      say({ kind: "refused", error: String(error) });
      response.writeHead(error.httpStatus ?? 500).end();
    }
  });
  server.listen(0, "127.0.0.1", () => say({ port: server.address().port }));
}

await (process.argv[2] === "send" ? send() : receive());
