export class ContextModel {}
