"""What people work with: typed answers, tools, conversations; made of the gateway's parts, none of which knows them."""
